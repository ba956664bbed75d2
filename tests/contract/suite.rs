//! One test for each promise of [`RevocationStore`], over any [`Backend`]. The promises are in the modules beside this.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sealjar::id::ShortId;
use sealjar::revocation::{Beat, Follower, Record, Revocation, RevocationStore};
use sealjar::time::{Clock, Day, Seconds};

pub use crate::beside::*;
pub use crate::followed::*;
pub use crate::over::*;
pub use crate::published::*;

/// When the tests take place: now, because a server's clock cannot be set.
pub static NOW: LazyLock<Seconds> = LazyLock::new(|| Clock::system().now().seconds());

/// A store that the contract is tried on: one list, empty at first.
pub trait Backend: Sized {
    /// A new list. With `log_out_everybody`, one in whose place another was lost.
    async fn new(log_out_everybody: bool) -> Self;

    /// Another handle on the list, as another process would have it.
    async fn handle(&self) -> Arc<dyn RevocationStore>;

    /// A handle with the rights of an operator's tool, where those are others.
    async fn tool(&self) -> Arc<dyn RevocationStore> {
        self.handle().await
    }

    /// A handle whose process has a clock that is behind, if the store goes by that clock.
    async fn handle_with_clock_behind(&self, by: Duration) -> Option<Arc<dyn RevocationStore>>;

    /// Takes everything away from under the running handles.
    async fn lose(&self);

    /// What must not be in any description of the store.
    fn secrets(&self) -> Vec<String>;
}

/// Makes a test of every promise for one backend.
macro_rules! contract {
    ($backend:ty) => {
        crate::suite::contract!($backend:
            a_publication_is_seen_by_other_followers
            every_kind_of_record_comes_back_as_it_was
            a_batch_has_one_position_and_is_seen_whole
            a_long_list_is_read_whole
            positions_rise_across_handles_and_under_concurrency
            positions_do_not_go_back_with_the_clock
            a_publication_is_above_every_stamp_and_beat_before_it
            order_and_repetition_do_not_matter
            of_several_who_raise_a_floor_to_the_same_one_does
            what_was_decided_on_another_rotation_list_is_not_published
            of_several_who_decide_on_the_same_rotation_list_one_goes_ahead
            a_cut_off_is_kept_as_long_as_the_longest_session
            what_was_forgotten_is_taken_back_too
            records_that_are_given_back_are_seen_and_positions_stay_above
            giving_back_what_is_known_does_no_harm
            a_one_time_value_has_one_winner
            a_one_time_value_is_refused_when_foreign_or_expired
            profiles_are_announced_and_merged
            the_first_beat_is_whole_and_the_next_ones_are_news
            a_beat_whose_caller_went_away_loses_nothing
            a_loss_begins_a_new_incarnation_and_the_memory_heals_it
            a_publication_after_a_loss_is_not_lost
            one_time_values_do_not_survive_a_loss
            everybody_is_logged_out_where_a_list_was_lost
            parcels_are_kept_replaced_and_thrown_away
            nodes_are_waited_for_until_they_have_applied
            a_node_that_is_gone_can_be_forgotten
            a_description_holds_no_secret
        );
    };
    ($backend:ty: $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                crate::suite::$promise::<$backend>().await;
            }
        )+
    };
}

pub(crate) use contract;

pub fn today() -> Day {
    NOW.day()
}

pub fn session(id: u64) -> Revocation {
    Revocation::Session { id: ShortId(id), day: today() }
}

pub fn session_record(id: u64) -> Record {
    Record::Session { id: ShortId(id), day: today() }
}

pub fn ids(records: &[Record]) -> Vec<u64> {
    records
        .iter()
        .map(|record| if let Record::Session { id, .. } = record { id.0 } else { panic!("{record:?}") })
        .collect()
}

pub async fn beat(follower: &mut Box<dyn Follower>) -> Beat {
    follower.beat(false).await.unwrap()
}
