//! Handles: numbers in the shape of pointers, never addresses.
//!
//! A handle says what kind of object it names, the object's place in one table, and how often that place had been given away before. So a handle of
//! another kind, one that was destroyed, and one that never was are told apart without looking at memory that may be gone, and destroying twice is an error
//! and no crash. Addresses of this shape do not exist on the machines we build for: a program that looks behind one by itself stops there.
//!
//! The table is the one thing that is shared by the whole process. It holds objects and no settings, and is locked only while a handle is looked up, made
//! or given back; a run's submits go past it.

use crate::error::Error;
use crate::status::prewire_status;
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

const _: () = assert!(usize::BITS == 64, "handles need pointers of 64 bits");

/// The type of an opaque pointer and what stands behind it.
pub(crate) trait Handle: Sized {
    type Object: Send + 'static;
    /// 1 to 15, a different one for each.
    const KIND: u8;
    /// What messages call it.
    const NAME: &'static str;
    /// Calls use the object for no longer than it takes to copy what they need, so that one waits for another and none is refused.
    const BRIEF: bool = false;
}

const INDEX_BITS: u32 = 28;
const GENERATION_BITS: u32 = 28;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
/// The upper half of a byte that no address has there.
const TAG: u64 = 0x50;

/// What the kinds are called, by their numbers.
const NAMES: [&str; 16] =
    ["", "runtime", "buffer", "report", "run", "writer", "submission", "", "", "", "", "", "", "", "", ""];

struct Place {
    generation: u64,
    object: Option<Arc<dyn Any + Send + Sync>>,
}

struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

static TABLE: Mutex<Table> = Mutex::new(Table { places: Vec::new(), free: Vec::new() });

/// An object, used by one call at a time; none any more once it was destroyed.
type Cell<T> = Mutex<Option<T>>;

fn table() -> MutexGuard<'static, Table> {
    // Nothing that holds it can leave it half changed.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(kind: u8, generation: u64, index: u32) -> u64 {
    (TAG | u64::from(kind)) << 56 | generation << INDEX_BITS | u64::from(index)
}

/// Makes a handle.
pub(crate) fn insert<H: Handle>(object: H::Object) -> Result<*mut H, Error> {
    debug_assert_eq!(NAMES[usize::from(H::KIND)], H::NAME);
    let object: Arc<Cell<H::Object>> = Arc::new(Mutex::new(Some(object)));
    let mut table = table();
    let index = match table.free.pop() {
        Some(index) => index,
        None if (table.places.len() as u64) < INDEX_MASK => {
            table.places.push(Place { generation: 0, object: None });
            table.places.len() as u32 - 1
        }
        None => return Err(Error::new(prewire_status::OutOfMemory, "there are more objects than handles")),
    };
    let place = &mut table.places[index as usize];
    place.object = Some(object);
    Ok(std::ptr::without_provenance_mut(encode(H::KIND, place.generation, index) as usize))
}

/// Uses the object of a handle.
pub(crate) fn with<H: Handle, R>(
    handle: *const H,
    body: impl FnOnce(&mut H::Object) -> Result<R, Error>,
) -> Result<R, Error> {
    let object = find::<H>(handle)?;
    let mut object = lock::<H>(&object)?;
    match &mut *object {
        Some(object) => body(object),
        None => Err(destroyed::<H>()),
    }
}

/// Whether the handle names an object that lives.
pub(crate) fn lives<H: Handle>(handle: *const H) -> Result<(), Error> {
    find::<H>(handle).map(|_| ())
}

/// Takes the object of a handle out; the handle names nothing any more.
pub(crate) fn remove<H: Handle>(handle: *const H) -> Result<H::Object, Error> {
    let object = find::<H>(handle)?;
    let taken = lock::<H>(&object)?.take().ok_or_else(destroyed::<H>)?;
    let bits = handle.addr() as u64;
    let index = bits & INDEX_MASK;
    let mut table = table();
    let place = &mut table.places[index as usize];
    let emptied = place.object.take();
    place.generation += 1;
    // A place whose numbers are used up is not given away again.
    if place.generation <= GENERATION_MASK {
        table.free.push(index as u32);
    }
    drop(table);
    drop(emptied);
    Ok(taken)
}

fn find<H: Handle>(handle: *const H) -> Result<Arc<Cell<H::Object>>, Error> {
    let bits = handle.addr() as u64;
    let top = bits >> 56;
    if handle.is_null() {
        return Err(bad(format!("the handle of a {} is NULL", H::NAME)));
    }
    let kind = (top & 0xF) as u8;
    if top & 0xF0 != TAG || NAMES[usize::from(kind)].is_empty() {
        return Err(bad(format!("{bits:#x} is no handle of this library; a {} was expected", H::NAME)));
    }
    if kind != H::KIND {
        return Err(bad(format!("the handle of a {} was given for a {}", NAMES[usize::from(kind)], H::NAME)));
    }
    let (index, generation) = ((bits & INDEX_MASK) as usize, bits >> INDEX_BITS & GENERATION_MASK);
    let table = table();
    let Some(place) = table.places.get(index) else {
        return Err(bad(format!("{bits:#x} is no handle of this library; a {} was expected", H::NAME)));
    };
    let object = place.object.clone().filter(|_| place.generation == generation).ok_or_else(destroyed::<H>)?;
    drop(table);
    object.downcast::<Cell<H::Object>>().map_err(|_| destroyed::<H>())
}

fn lock<H: Handle>(object: &Cell<H::Object>) -> Result<MutexGuard<'_, Option<H::Object>>, Error> {
    if H::BRIEF {
        return Ok(object.lock().unwrap_or_else(PoisonError::into_inner));
    }
    match object.try_lock() {
        Ok(object) => Ok(object),
        // A panic was caught and said; the object's own rules say what it is good for.
        Err(TryLockError::Poisoned(object)) => Ok(object.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(prewire_status::Busy, format!("another call is using the {}", H::NAME)))
        }
    }
}

#[cold]
fn destroyed<H: Handle>() -> Error {
    bad(format!("the {} was destroyed, or has ended, before", H::NAME))
}

#[cold]
pub(crate) fn bad(text: String) -> Error {
    Error::new(prewire_status::BadHandle, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing;
    impl Handle for Thing {
        type Object = String;
        const KIND: u8 = 2;
        const NAME: &'static str = "buffer";
    }
    struct Other;
    impl Handle for Other {
        type Object = u32;
        const KIND: u8 = 3;
        const NAME: &'static str = "report";
    }

    fn text<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.status, prewire_status::BadHandle);
        error.text.clone()
    }

    #[test]
    fn a_handle_is_good_until_it_is_destroyed_and_never_again() {
        let first = insert::<Thing>("first".to_owned()).unwrap();
        assert_eq!(with::<Thing, _>(first, |text| Ok(text.clone())).unwrap(), "first");
        assert_eq!(remove::<Thing>(first).unwrap(), "first");
        assert!(text(remove::<Thing>(first)).contains("destroyed"));
        // Others may have taken the place meanwhile; this handle names none of them.
        let more: Vec<_> = (0..64).map(|_| insert::<Thing>("second".to_owned()).unwrap()).collect();
        assert!(more.iter().all(|&handle| handle != first));
        assert!(text(with::<Thing, _>(first, |_| Ok(()))).contains("destroyed"));
        for handle in more {
            remove::<Thing>(handle).unwrap();
        }
    }

    #[test]
    fn what_is_no_handle_is_told_apart() {
        let thing = insert::<Thing>(String::new()).unwrap();
        assert!(text(with::<Other, _>(thing.cast(), |_| Ok(()))).contains("of a buffer was given for a report"));
        assert!(text(with::<Thing, _>(std::ptr::null(), |_| Ok(()))).contains("NULL"));
        let local = 7;
        assert!(text(with::<Thing, _>((&raw const local).cast(), |_| Ok(()))).contains("no handle"));
        let beyond = std::ptr::without_provenance::<Thing>(encode(2, 0, 1 << 27) as usize);
        assert!(text(with::<Thing, _>(beyond, |_| Ok(()))).contains("no handle"));
        remove::<Thing>(thing).unwrap();
    }

    #[test]
    fn an_object_in_use_is_busy_and_stays() {
        let thing = insert::<Thing>(String::new()).unwrap();
        with::<Thing, _>(thing, |_| {
            assert_eq!(with::<Thing, _>(thing, |_| Ok(())).unwrap_err().status, prewire_status::Busy);
            assert_eq!(remove::<Thing>(thing).unwrap_err().status, prewire_status::Busy);
            Ok(())
        })
        .unwrap();
        remove::<Thing>(thing).unwrap();
    }

    struct Brief;
    impl Handle for Brief {
        type Object = u32;
        const KIND: u8 = 6;
        const NAME: &'static str = "submission";
        const BRIEF: bool = true;
    }

    #[test]
    fn calls_that_only_copy_wait_for_each_other() {
        let brief = insert::<Brief>(7).unwrap().addr();
        let use_it = || with::<Brief, _>(std::ptr::without_provenance(brief), |value| Ok(*value));
        std::thread::scope(|threads| {
            let all: Vec<_> =
                (0..4).map(|_| threads.spawn(|| (0..10_000).all(|_| use_it().is_ok_and(|value| value == 7)))).collect();
            assert!(all.into_iter().all(|thread| thread.join().unwrap()));
        });
        assert_eq!(remove::<Brief>(std::ptr::without_provenance(brief)).unwrap(), 7);
    }
}
