//! Division by a number that stays the same, through multiplication.

/// A divisor and its reciprocal, scaled by 2^64 and rounded down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divider {
    divisor: u64,
    reciprocal: u64,
}

impl Divider {
    /// Divides by `divisor`, which is at least 1.
    pub(super) fn new(divisor: u64) -> Divider {
        Divider { divisor, reciprocal: u64::MAX / divisor }
    }

    #[inline]
    pub(super) fn divisor(&self) -> u64 {
        self.divisor
    }

    /// Quotient and remainder. The product with the rounded reciprocal is short of the quotient by less than one, so that one
    /// correction is enough.
    #[inline]
    pub(super) fn divide(&self, dividend: u64) -> (u64, u64) {
        let quotient = ((u128::from(dividend) * u128::from(self.reciprocal)) >> 64) as u64;
        let remainder = dividend - quotient * self.divisor;
        if remainder >= self.divisor { (quotient + 1, remainder - self.divisor) } else { (quotient, remainder) }
    }
}

#[cfg(test)]
mod tests {
    use super::Divider;
    use proptest::prelude::*;

    proptest! {
        /// Every quotient and remainder is what the division instruction gives, at the ends of the range too.
        #[test]
        fn divides_as_the_machine_does(
            dividend in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(u64::MAX - 1), 0u64..1000],
            divisor in prop_oneof![1u64..=u64::MAX, Just(1), Just(2), Just(3), Just(u64::MAX), 1u64..1000],
        ) {
            prop_assert_eq!(Divider::new(divisor).divide(dividend), (dividend / divisor, dividend % divisor));
        }
    }
}
