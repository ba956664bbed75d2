//! Closed lists of things that have a code, a cause and a fix: verdicts, troubles, refusals.

/// Writes a closed list from its rows: one row a variant, with its words, and nowhere else.
///
/// ```text
/// closed_list! {
///     pub enum Name {
///         /// What it is, for the reader of the code.
///         Variant = "code" | "The cause." | "The fix.",
///     }
/// }
/// ```
///
/// It makes the enum, `ALL` in the order of the rows, `code`, `cause` and `fix`, and a `Display` that is the code.
macro_rules! closed_list {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $( $(#[$of_variant:meta])* $variant:ident = $code:literal | $cause:literal | $fix:literal, )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$of_variant])* $variant, )+
        }

        impl $name {
            /// All of them, in their order.
            pub const ALL: [Self; [$( $code ),+].len()] = [$( Self::$variant ),+];

            /// The stable name, `snake_case`, as programs read it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            /// The likely cause, one sentence.
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $( Self::$variant => $cause, )+ }
            }

            /// What to do about it, one sentence.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self { $( Self::$variant => $fix, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

pub(crate) use closed_list;
