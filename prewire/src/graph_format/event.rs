//! Scopes and tasks as lines.

use super::FormatError;
use super::field::{Field, present};
use super::model::{
    ArgumentRecord, DependencyRecord, EdgeRecord, EdgeSource, Event, PredicateRecord, TaskKind, TaskRecord,
};
use prewire_runtime_core::edge::EdgeFlags;
use prewire_runtime_core::slot::Comparison;
use prewire_runtime_core::task::{MAX_BLOCKS, MAX_SCALARS, MAX_TENSORS};
use prewire_runtime_core::tensor::{ArgumentTag, DataType, MAX_BUFFER_BYTES, MAX_DIMENSIONS, TensorLayout};
use serde_json::{Value, json};

const SYNC_START: u64 = 1;
const EARLY_RESOLVE: u64 = 2;
const PREDICATED: u64 = 4;

/// What a number of an element type means in a file.
pub(super) type DataTypes = [DataType];

pub(super) fn parse(value: &Value, line: u64, data_types: &DataTypes) -> Result<Event, FormatError> {
    let root = Field::line(value, "event", line);
    let kind =
        root.elements()?.next().ok_or_else(|| root.wrong("an empty array; it begins with \"S\", \"E\" or \"T\""))?;
    match kind.text()? {
        "S" => {
            let [_, mode] = root.record(["kind", "mode"], 2)?;
            Ok(Event::ScopeBegin { manual: present(mode).number(1)? == 1 })
        }
        "E" => {
            root.record(["kind"], 1)?;
            Ok(Event::ScopeEnd)
        }
        "T" => Ok(Event::Task(Box::new(task(&root, data_types)?))),
        other => Err(kind.wrong(format!("\"{other}\" is none of \"S\", \"E\" and \"T\""))),
    }
}

fn task(root: &Field<'_>, data_types: &DataTypes) -> Result<TaskRecord, FormatError> {
    const NAMES: [&str; 12] = [
        "kind of line",
        "index",
        "kind",
        "ring",
        "kernels",
        "blocks",
        "flags",
        "arguments",
        "scalars",
        "dependencies",
        "edges",
        "predicate",
    ];
    let [_, index, kind, ring, kernels, blocks, flags, arguments, scalars, dependencies, edges, predicate] =
        root.record(NAMES, 11)?;
    let kind = present(kind);
    let kernels = present(kernels);
    let blocks = present(blocks);
    let flags = present(flags);
    let flag_bits = flags.number(SYNC_START | EARLY_RESOLVE | PREDICATED)?;
    if (flag_bits & PREDICATED != 0) != predicate.is_some() {
        return Err(flags.wrong(format!("{flag_bits}: bit 2 says whether a predicate follows, and it does not agree")));
    }
    let block_count = blocks.number(u64::from(MAX_BLOCKS))?;
    if block_count == 0 {
        return Err(blocks.wrong(format!("0 blocks; a task has 1 to {MAX_BLOCKS}")));
    }
    let arguments = present(arguments);
    let scalars = present(scalars);
    let dependencies = present(dependencies);
    let edges = present(edges);
    Ok(TaskRecord {
        index: present(index).number(u64::from(u32::MAX) - 1)? as u32,
        kind: match kind.text()? {
            "K" => TaskKind::Kernel,
            "D" => TaskKind::Dummy,
            "A" => TaskKind::Allocation,
            other => return Err(kind.wrong(format!("\"{other}\" is none of \"K\", \"D\" and \"A\""))),
        },
        ring: present(ring).number(3)? as u8,
        kernels: kernel_ids(&kernels)?,
        blocks: block_count as u32,
        sync_start: flag_bits & SYNC_START != 0,
        early_resolve: flag_bits & EARLY_RESOLVE != 0,
        arguments: arguments
            .elements_at_most(MAX_TENSORS)?
            .map(|field| argument(&field, data_types))
            .collect::<Result<_, _>>()?,
        scalars: scalars
            .elements_at_most(MAX_SCALARS)?
            .map(|field| field.number(u64::MAX))
            .collect::<Result<_, _>>()?,
        dependencies: dependencies.elements()?.map(|field| dependency(&field)).collect::<Result<_, _>>()?,
        edges: edges.elements()?.map(|field| edge(&field)).collect::<Result<_, _>>()?,
        predicate: predicate.map(|field| self::predicate(&field, data_types)).transpose()?,
    })
}

fn kernel_ids(field: &Field<'_>) -> Result<[Option<u16>; 3], FormatError> {
    let parts = field.record(["cube", "vector 0", "vector 1"], 3)?;
    let mut kernels = [None; 3];
    for (kernel, part) in kernels.iter_mut().zip(parts) {
        *kernel = present(part).number_or_none(u64::from(u16::MAX))?.map(|id| id as u16);
    }
    Ok(kernels)
}

fn argument(field: &Field<'_>, data_types: &DataTypes) -> Result<ArgumentRecord, FormatError> {
    let [tag, buffer, start, data_type, shape, strides, manual] =
        field.record(["tag", "buffer", "start", "data type", "shape", "strides", "manual"], 5)?;
    let tag = present(tag);
    let shape = numbers(&present(shape), MAX_DIMENSIONS, u64::from(u32::MAX))?;
    let data_type = self::data_type(&present(data_type), data_types)?;
    // Strides are left out where they are row-major, and a file may put the last element right behind the shape then.
    let (strides, manual) = match (strides, manual) {
        (Some(only), None) if !only.value().is_array() && !only.value().is_null() => (None, Some(only)),
        (strides, manual) => (strides.filter(|field| !field.value().is_null()), manual),
    };
    let layout = match &strides {
        None => TensorLayout::row_major(&shape, data_type),
        Some(strides) => {
            let strides = numbers(strides, MAX_DIMENSIONS, u64::from(u32::MAX))?;
            let strides: Vec<i64> = strides.into_iter().map(i64::from).collect();
            TensorLayout::strided(&shape, &strides, data_type)
        }
    };
    Ok(ArgumentRecord {
        tag: ArgumentTag::from_index(tag.number(4)? as u8).expect("numbers to 4 are tags"),
        buffer: present(buffer).number(u64::from(u32::MAX))? as u32,
        start: present(start).number(MAX_BUFFER_BYTES)?,
        layout: layout.map_err(|error| field.wrong(error.to_string()))?,
        manual: manual.map_or(Ok(0), |field| field.number(1))? == 1,
    })
}

fn dependency(field: &Field<'_>) -> Result<DependencyRecord, FormatError> {
    let [task, flags] = field.record(["task", "flags"], 2)?;
    Ok(DependencyRecord {
        task: present(task).number(u64::from(u32::MAX))? as u32,
        flags: edge_flags(&present(flags))?,
    })
}

fn edge(field: &Field<'_>) -> Result<EdgeRecord, FormatError> {
    let [producer, source, flags, argument] = field.record(["producer", "source", "flags", "argument"], 4)?;
    Ok(EdgeRecord {
        producer: present(producer).number(u64::from(u32::MAX))? as u32,
        source: match present(source).number(2)? {
            0 => EdgeSource::Explicit,
            1 => EdgeSource::Creator,
            _ => EdgeSource::Overlap,
        },
        flags: edge_flags(&present(flags))?,
        argument: present(argument).number_or_none(MAX_TENSORS as u64)?.map(|argument| argument as u16),
    })
}

fn predicate(field: &Field<'_>, data_types: &DataTypes) -> Result<PredicateRecord, FormatError> {
    let [comparison, target, buffer, start, data_type, indices] =
        field.record(["comparison", "target", "buffer", "start", "data type", "indices"], 6)?;
    let comparison = present(comparison);
    let indices = present(indices);
    let parsed = numbers(&indices, MAX_DIMENSIONS, u64::from(u32::MAX) - 1)?;
    // The shape of the operand is not recorded, so only the last dimension can be stepped along.
    if parsed.iter().rev().skip(1).any(|&index| index != 0) {
        return Err(indices.wrong("only the last index may differ from 0, since the operand's shape is not recorded"));
    }
    Ok(PredicateRecord {
        comparison: match comparison.number(6)? {
            1 => Comparison::Equal,
            2 => Comparison::NotEqual,
            3 => Comparison::Greater,
            4 => Comparison::Less,
            5 => Comparison::GreaterOrEqual,
            6 => Comparison::LessOrEqual,
            _ => return Err(comparison.wrong("0 compares nothing; leave the predicate out")),
        },
        target: present(target).signed()?,
        buffer: present(buffer).number(u64::from(u32::MAX))? as u32,
        start: present(start).number(MAX_BUFFER_BYTES)?,
        data_type: self::data_type(&present(data_type), data_types)?,
        indices: parsed,
    })
}

/// A list of 32-bit numbers.
pub(super) fn numbers(field: &Field<'_>, most: usize, largest: u64) -> Result<Vec<u32>, FormatError> {
    field.elements_at_most(most)?.map(|field| Ok(field.number(largest)? as u32)).collect()
}

/// An element type by its number in the file.
pub(super) fn data_type(field: &Field<'_>, data_types: &DataTypes) -> Result<DataType, FormatError> {
    let number = field.number(255)?;
    data_types.get(number as usize).copied().ok_or_else(|| {
        field.wrong(format!("element type {number} is none of the {} that the header lists", data_types.len()))
    })
}

fn edge_flags(field: &Field<'_>) -> Result<EdgeFlags, FormatError> {
    match field.number(3)? {
        1 => Ok(EdgeFlags::WAIT),
        2 => Ok(EdgeFlags::RETAIN),
        3 => Ok(EdgeFlags::WAIT.union(EdgeFlags::RETAIN)),
        _ => Err(field.wrong("0 is no dependency; it is 1 (wait), 2 (retain) or 3 (both)")),
    }
}

/// The event as a line.
pub(super) fn to_json(event: &Event) -> Value {
    match event {
        Event::ScopeBegin { manual } => json!(["S", u8::from(*manual)]),
        Event::ScopeEnd => json!(["E"]),
        Event::Task(task) => task_to_json(task),
    }
}

fn task_to_json(task: &TaskRecord) -> Value {
    let kind = match task.kind {
        TaskKind::Kernel => "K",
        TaskKind::Dummy => "D",
        TaskKind::Allocation => "A",
    };
    let kernels = task.kernels.map(|kernel| kernel.map_or(-1, i32::from));
    let flags =
        [(task.sync_start, SYNC_START), (task.early_resolve, EARLY_RESOLVE), (task.predicate.is_some(), PREDICATED)];
    let flags: u64 = flags.into_iter().filter(|&(set, _)| set).map(|(_, bit)| bit).sum();
    let arguments: Vec<Value> = task.arguments.iter().map(argument_to_json).collect();
    let dependencies: Vec<_> =
        task.dependencies.iter().map(|dependency| json!([dependency.task, dependency.flags.bits() & 3])).collect();
    let edges: Vec<_> = task
        .edges
        .iter()
        .map(|edge| {
            let argument = edge.argument.map_or(-1, i32::from);
            json!([edge.producer, edge.source as u8, edge.flags.bits() & 3, argument])
        })
        .collect();
    let mut line = vec![
        json!("T"),
        json!(task.index),
        json!(kind),
        json!(task.ring),
        json!(kernels),
        json!(task.blocks),
        json!(flags),
        Value::Array(arguments),
        json!(task.scalars),
        Value::Array(dependencies),
        Value::Array(edges),
    ];
    line.extend(task.predicate.as_ref().map(|predicate| {
        json!([
            predicate.comparison as u8,
            predicate.target,
            predicate.buffer,
            predicate.start,
            predicate.data_type.index(),
            predicate.indices,
        ])
    }));
    Value::Array(line)
}

fn argument_to_json(argument: &ArgumentRecord) -> Value {
    let layout = &argument.layout;
    let mut fields = vec![
        json!(argument.tag as u8),
        json!(argument.buffer),
        json!(argument.start),
        json!(layout.data_type().index()),
        json!(layout.shape()),
    ];
    // Strides that differ from the row-major ones are written even where nobody steps along them, so that a file reads back as it was.
    let row_major = TensorLayout::row_major(layout.shape(), layout.data_type());
    let strided = row_major.is_ok_and(|row_major| row_major != *layout);
    if strided {
        fields.push(json!(layout.strides()));
    } else if argument.manual {
        fields.push(Value::Null);
    }
    if argument.manual {
        fields.push(json!(1));
    }
    Value::Array(fields)
}
