//! Compiles the definitions below `proto/` to message types, and to the tables by which their JSON is read.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    #[cfg(feature = "skywalking")]
    skywalking::compile()?;
    Ok(())
}

#[cfg(feature = "skywalking")]
mod skywalking {
    use std::{collections::HashMap, env, error::Error, fmt::Write, fs, path::Path};

    use prost::Message as _;
    use prost_types::{
        DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
        field_descriptor_proto::{Label, Type},
    };

    const FILES: [&str; 13] = [
        "skywalking/v3/access_log.proto",
        "skywalking/v3/browser.proto",
        "skywalking/v3/common.proto",
        "skywalking/v3/event.proto",
        "skywalking/v3/logging.proto",
        "skywalking/v3/management.proto",
        "skywalking/v3/mesh.proto",
        "skywalking/v3/metrics.proto",
        "skywalking/v3/process.proto",
        "skywalking/v3/tracing.proto",
        "skywalking/v10/profiler.proto",
        "envoy/accesslog.proto",
        "envoy/metrics.proto",
    ];
    /// The messages that come as JSON, and with them all that they hold.
    const JSON_ROOTS: [&str; 10] = [
        "SegmentObject",
        "LogData",
        "Event",
        "InstanceProperties",
        "InstancePingPkg",
        "BrowserPerfData",
        "BrowserWebVitalsPerfData",
        "BrowserResourcePerfData",
        "BrowserWebInteractionsPerfData",
        "BrowserErrorLog",
    ];
    const PACKAGE: &str = ".skywalking.v3.";

    pub(super) fn compile() -> Result<(), Box<dyn Error>> {
        println!("cargo::rerun-if-changed=proto");
        let files = protox::compile(FILES, ["proto"])?;
        let out = env::var("OUT_DIR")?;
        fs::write(Path::new(&out).join("definitions.bin"), files.encode_to_vec())?;
        fs::write(Path::new(&out).join("json_tables.rs"), json_tables(&files)?)?;
        prost_build::Config::new().include_file("messages.rs").compile_fds(files)?;
        Ok(())
    }

    /// What a table refers to, by full name.
    struct Definitions<'a> {
        messages: HashMap<String, &'a DescriptorProto>,
        enums: HashMap<String, &'a EnumDescriptorProto>,
    }

    /// A `Message` constant for every message that JSON may hold.
    fn json_tables(files: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
        let mut definitions = Definitions { messages: HashMap::new(), enums: HashMap::new() };
        for file in &files.file {
            let package = format!(".{}", file.package());
            for message in &file.message_type {
                collect(&package, message, &mut definitions);
            }
            for enumeration in &file.enum_type {
                definitions.enums.insert(format!("{package}.{}", enumeration.name()), enumeration);
            }
        }
        let mut wanted: Vec<String> = JSON_ROOTS.iter().map(|name| format!("{PACKAGE}{name}")).collect();
        let mut tables = String::new();
        let mut next = 0;
        while let Some(name) = wanted.get(next).cloned() {
            next += 1;
            let message = definitions.messages.get(&name).ok_or_else(|| format!("there is no {name}"))?;
            writeln!(tables, "/// `{}`.", name.trim_start_matches(PACKAGE))?;
            writeln!(tables, "pub static {}: Message = Message {{ fields: &[", constant(&name))?;
            for field in &message.field {
                let kind = kind(field, &definitions)?;
                if let Type::Message = field.r#type()
                    && !wanted.iter().any(|known| known == field.type_name())
                {
                    wanted.push(field.type_name().to_owned());
                }
                writeln!(
                    tables,
                    "    Field {{ name: {:?}, number: {}, repeated: {}, kind: {kind} }},",
                    field.name(),
                    field.number(),
                    field.label() == Label::Repeated,
                )?;
            }
            let is_map = message.options.as_ref().is_some_and(|options| options.map_entry());
            writeln!(tables, "], is_map_entry: {is_map} }};")?;
        }
        Ok(tables)
    }

    fn collect<'a>(scope: &str, message: &'a DescriptorProto, definitions: &mut Definitions<'a>) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            collect(&name, nested, definitions);
        }
        for enumeration in &message.enum_type {
            definitions.enums.insert(format!("{name}.{}", enumeration.name()), enumeration);
        }
        definitions.messages.insert(name, message);
    }

    fn kind(field: &FieldDescriptorProto, definitions: &Definitions<'_>) -> Result<String, Box<dyn Error>> {
        Ok(match field.r#type() {
            Type::String => "Kind::Text".to_owned(),
            Type::Double => "Kind::Double".to_owned(),
            Type::Bool => "Kind::Bool".to_owned(),
            Type::Int32 => "Kind::Int32".to_owned(),
            Type::Int64 => "Kind::Int64".to_owned(),
            Type::Message => format!("Kind::Message(&{})", constant(field.type_name())),
            Type::Enum => {
                let enumeration = definitions
                    .enums
                    .get(field.type_name())
                    .ok_or_else(|| format!("there is no {}", field.type_name()))?;
                let values: Vec<_> =
                    enumeration.value.iter().map(|value| (value.name(), value.number())).collect();
                format!("Kind::Enum(&{values:?})")
            }
            other => return Err(format!("{}: JSON of {other:?} is not read", field.name()).into()),
        })
    }

    /// `SegmentObject` as `SEGMENT_OBJECT`.
    fn constant(name: &str) -> String {
        let mut constant = String::new();
        let mut before = ' ';
        for letter in name.trim_start_matches(PACKAGE).chars() {
            if letter.is_uppercase() && before.is_lowercase() {
                constant.push('_');
            }
            constant.push(if letter == '.' { '_' } else { letter.to_ascii_uppercase() });
            before = letter;
        }
        constant
    }
}
