//! Writes the structures: their definitions, and how they are written into requests and read from answers.

use std::fmt::Write as _;

use super::Written;
use crate::facts::{Member, Place, Protocol, Type};
use crate::names::field;

/// A structure's definition; `request` and `answer` say where it is used.
pub fn structure(
    protocol: Protocol,
    name: &str,
    doc: &str,
    members: &[Member],
    request: bool,
    answer: bool,
) -> Written {
    let secret = members.iter().any(|member| member.secret);
    let mut out = String::new();
    for line in doc.lines() {
        write_doc(&mut out, line)?;
    }
    let debug = if secret { "" } else { "Debug, " };
    writeln!(out, "#[derive(Clone, {debug}Default, PartialEq, Eq)]")?;
    if members.is_empty() {
        writeln!(out, "pub struct {name};\n")?;
        return Ok(out);
    }
    writeln!(out, "pub struct {name} {{")?;
    for member in members {
        writeln!(out, "    /// {}", member_doc(protocol, member, request, answer))?;
        writeln!(out, "    pub {}: {},", field(&member.name), field_type(member))?;
    }
    out += "}\n\n";
    if secret {
        writeln!(out, "impl fmt::Debug for {name} {{")?;
        writeln!(
            out,
            "    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n        f.debug_struct(\"{name}\")"
        )?;
        for member in members {
            let name = field(&member.name);
            let value = match (member.secret, member.required) {
                (false, _) => format!("&self.{name}"),
                (true, true) => "&Hidden".to_owned(),
                (true, false) => format!("&self.{name}.as_ref().map(|_| Hidden)"),
            };
            writeln!(out, "            .field(\"{}\", {value})", name.trim_start_matches("r#"))?;
        }
        out += "            .finish()\n    }\n}\n\n";
    }
    Ok(out)
}

/// A paragraph of documentation in lines of 120 characters at most, which rustfmt wouldn't make.
fn write_doc(out: &mut String, paragraph: &str) -> std::fmt::Result {
    let mut line = String::from("///");
    for word in paragraph.split_whitespace() {
        if line.len() + 1 + word.len() > 120 {
            writeln!(out, "{line}")?;
            line = String::from("///");
        }
        write!(line, " {word}")?;
    }
    writeln!(out, "{line}")
}

fn member_doc(protocol: Protocol, member: &Member, request: bool, answer: bool) -> String {
    let in_request = match (&member.place, protocol, &member.kind) {
        (Some(Place::Label(name)), _, _) => format!("{{{name}}}` in the path"),
        (Some(Place::Query(name)), _, _) => format!("{name}` in the query string"),
        (None, Protocol::RestXml, _) => format!("{}`", member.xml()),
        (None, _, Type::List(list)) => match &list.form {
            Some(form) => format!("{}.{form}.N`", member.form()),
            None => format!("{}.N`", member.form()),
        },
        (None, ..) => format!("{}`", member.form()),
    };
    let in_answer = match &member.kind {
        Type::List(list) => match &list.item {
            Some(item) => format!("{}/{item}`", member.xml()),
            None => format!("{}`", member.xml()),
        },
        _ => format!("{}`", member.xml()),
    };
    let mut doc = match (request, answer) {
        (true, true) if in_request != in_answer => {
            format!("`{in_request} in a request, `{in_answer} in an answer.")
        }
        (true, _) => format!("`{in_request}."),
        _ => format!("`{in_answer}."),
    };
    if member.required {
        doc += if answer { " Always there." } else { " Required." };
    }
    if member.resource_id {
        doc += " Only what follows the last slash is sent.";
    }
    if member.secret {
        doc += " Secret: `Debug` doesn't show it.";
    }
    doc
}

/// How a structure is written into a request.
pub fn write_impl(protocol: Protocol, name: &str, members: &[Member]) -> Written {
    let rest = protocol == Protocol::RestXml;
    let mut out = if rest {
        format!("impl XmlValue for {name} {{\n    fn write(&self, xml: &mut rest_xml::Writer) {{\n")
    } else {
        format!("impl FormValue for {name} {{\n    fn write(&self, form: &mut Form) {{\n")
    };
    for member in members {
        out += &if rest { xml_member(member) } else { form_member(member) };
    }
    Ok(out + "    }\n}\n\n")
}

/// The statement that writes a member into a form.
pub fn form_member(member: &Member) -> String {
    let (wire, name) = (member.form(), field(&member.name));
    match (&member.kind, member.required) {
        (Type::List(list), required) => match (&list.form, required) {
            // The query protocol tells an empty list by an empty field.
            (Some(form), true) => format!(
                "if self.{name}.is_empty() {{ form.put(\"{wire}\", &String::new()); }}\n\
                 form.list(\"{wire}.{form}\", &self.{name});\n"
            ),
            (Some(form), false) => format!("form.list(\"{wire}.{form}\", &self.{name});\n"),
            (None, _) => format!("form.list(\"{wire}\", &self.{name});\n"),
        },
        (_, true) => format!("form.put(\"{wire}\", &self.{name});\n"),
        (_, false) => format!("form.option(\"{wire}\", &self.{name});\n"),
    }
}

/// The statement that writes a member into an XML body.
pub fn xml_member(member: &Member) -> String {
    let (wire, name) = (member.xml(), field(&member.name));
    match (&member.kind, member.required) {
        (Type::List(list), required) => match &list.item {
            Some(item) if required => format!("xml.required_list(\"{wire}\", \"{item}\", &self.{name});\n"),
            Some(item) => format!("xml.list(\"{wire}\", \"{item}\", &self.{name});\n"),
            None => format!("for entry in &self.{name} {{ xml.put(\"{wire}\", entry); }}\n"),
        },
        (_, true) => format!("xml.put(\"{wire}\", &self.{name});\n"),
        (_, false) => format!("xml.option(\"{wire}\", &self.{name});\n"),
    }
}

/// How a structure is read from an answer. `secret`: no value of such a document is quoted.
pub fn read_impl(name: &str, members: &[Member], check: &str, secret: bool) -> Written {
    let required: Vec<&Member> = members.iter().filter(|m| m.required && !is_flattened(m)).collect();
    let mut out = format!("impl FromXml for {name} {{\n");
    if secret {
        out += "    const SECRET: bool = true;\n\n";
    }
    out += "    fn from_xml(xml: &mut Reader<'_>) -> Result<Self, ParseError> {\n";
    out += "let mut it = Self::default();\n";
    for member in &required {
        writeln!(out, "let mut {} = None;", field(&member.name))?;
    }
    out += "while let Some(element) = xml.child()? {\nmatch element {\n";
    for member in members {
        let (wire, name) = (member.xml(), field(&member.name));
        match (&member.kind, member.required) {
            (Type::List(list), required) => match (&list.item, required) {
                (Some(item), true) => {
                    writeln!(out, "\"{wire}\" => xml.list(\"{item}\", {name}.get_or_insert_default())?,")?
                }
                (Some(item), false) => writeln!(out, "\"{wire}\" => xml.list(\"{item}\", &mut it.{name})?,")?,
                (None, _) => writeln!(out, "\"{wire}\" => xml.entry(&mut it.{name})?,")?,
            },
            (_, true) => writeln!(out, "\"{wire}\" => {name} = Some(xml.read()?),")?,
            (_, false) => writeln!(out, "\"{wire}\" => it.{name} = Some(xml.read()?),")?,
        }
    }
    out += "_ => xml.skip()?,\n}\n}\n";
    for member in &required {
        let local = field(&member.name);
        writeln!(out, "it.{local} = xml::required(\"{name}\", \"{}\", {local})?;", member.xml())?;
    }
    out += check;
    Ok(out + "Ok(it)\n}\n}\n\n")
}

/// A flattened list has no element of its own that could be missing.
fn is_flattened(member: &Member) -> bool {
    matches!(&member.kind, Type::List(list) if list.item.is_none())
}

fn field_type(member: &Member) -> String {
    let kind = rust_type(&member.kind);
    match (&member.kind, member.required) {
        (Type::List(_), _) | (_, true) => kind,
        _ => format!("Option<{kind}>"),
    }
}

fn rust_type(kind: &Type) -> String {
    match kind {
        Type::String => "String".into(),
        Type::Integer => "i64".into(),
        Type::Boolean => "bool".into(),
        Type::Timestamp => "Timestamp".into(),
        Type::Enum(name) | Type::Structure(name) => name.clone(),
        Type::List(list) => format!("Vec<{}>", rust_type(&list.of)),
    }
}
