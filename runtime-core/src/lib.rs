//! The lock-free types, the Platform trait and the vocabulary that the rest of Prewire speaks.

pub mod id;
pub mod tensor;
