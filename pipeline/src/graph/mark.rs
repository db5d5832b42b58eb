//! What a component was made from, for telling whether a reload changes it.

use std::fmt::Write as _;

use crate::config::{Node, Value};

/// The value of a configuration without its places: equal for equal values.
pub(super) fn of(node: &Node) -> String {
    let mut mark = String::new();
    write(node, &mut mark);
    mark
}

fn write(node: &Node, mark: &mut String) {
    match &node.value {
        Value::Sequence(items) => {
            mark.push('[');
            for item in items {
                write(item, mark);
                mark.push(',');
            }
            mark.push(']');
        }
        Value::Mapping(mapping) => {
            mark.push('{');
            for entry in mapping {
                // Writing to a string cannot fail.
                let _ = write!(mark, "{:?}:", entry.key);
                write(&entry.value, mark);
                mark.push(',');
            }
            mark.push('}');
        }
        scalar => {
            let _ = write!(mark, "{scalar:?}{:?}", node.original);
        }
    }
}
