//! Memory that hashes alike is told apart all the same.

use super::{index, submit};
use crate::index::hash::CONSTANT;
use crate::index::{Access, Hazards};
use crate::terms::{Limited, Place, Terms};
use prewire_runtime_core::id::{BufferId, CoreId};
use prewire_runtime_core::tensor::{DataType, Tensor, TensorLayout};

/// One address, as host memory and as the own memory of two cores.
fn three_spaces(address: u64, shape: &[u32]) -> [Tensor; 3] {
    let layout = TensorLayout::row_major(shape, DataType::U32).unwrap();
    let mut limited = Limited::default();
    let mut own = |core| {
        let terms = Terms { place: Place::Core(CoreId(core)), read_only: false, advice: "" };
        limited.register(address, layout.bytes(), terms)
    };
    let keys = [BufferId::external(0), own(0), own(1)];
    keys.map(|key| Tensor::external(address, layout.bytes(), key, 0, layout).unwrap())
}

/// Claims HOST-070, with every hash the same: buffers of other spaces at one address give no edge, and neither do other buffers.
#[test]
fn buffers_whose_hashes_are_the_same_give_no_edge() {
    CONSTANT.set(true);
    for hazards in [Hazards::All, Hazards::ReadAfterWrite] {
        let mut index = index(hazards);
        let spaces = three_spaces(0x10_0000, &[8, 8]);
        let other = super::tensor(7, &[8, 8], DataType::U32);
        for (slot, tensor) in (0..).zip(spaces.iter().chain([&other])) {
            assert!(submit(&mut index, slot, &[(tensor, Access::Overwrite)]).producers().is_empty(), "{hazards:?}");
        }
        // Each is found by its own, and tiles of it by theirs.
        for (slot, tensor) in (0..).zip(spaces.iter().chain([&other])) {
            let tile = tensor.view(&[2, 2], &[2, 4]).unwrap();
            assert_eq!(submit(&mut index, 10 + slot, &[(&tile, Access::Read)]).producers(), [slot], "{hazards:?}");
        }
    }
    CONSTANT.set(false);
}
