//! Closed sets of label values, for metrics.

/// Declares an enum once: as variants, as a list and as label values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            pub(crate) const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// The value of the metric's label.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}
pub(crate) use labels;

/// Declares how many of each value of a set there were.
macro_rules! tally {
    ($(#[$doc:meta])* $name:ident of $label:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name([u64; $label::ALL.len()]);

        impl $name {
            pub(crate) fn of(&self, label: $label) -> u64 {
                self.0.get(label as usize).copied().unwrap_or(0)
            }

            pub(crate) fn count(&mut self, label: $label) {
                if let Some(count) = self.0.get_mut(label as usize) {
                    *count = count.wrapping_add(1);
                }
            }
        }
    };
}
pub(crate) use tally;
