//! An explanation as plain text.

use std::fmt::Write;

use model::Ruling;

use super::{Explanation, Paste};

impl Explanation {
    /// The explanation for people: a headline, what decided, what came nearest, the facts, and a permit
    /// to paste. Ends with a newline.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string can't fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let ruling = match self.ruling {
            Ruling::Allowed => "allowed".to_owned(),
            Ruling::NeedsApprovals(1) => "waits for 1 approval".to_owned(),
            Ruling::NeedsApprovals(n) => format!("waits for {n} approvals"),
            Ruling::Denied => "denied".to_owned(),
        };
        writeln!(out, "{ruling}: `{}` on {}", self.action, self.resource)?;
        writeln!(out, "caller: {}", self.caller)?;
        let groups = if self.groups.is_empty() { "none".to_owned() } else { self.groups.join(", ") };
        writeln!(out, "groups: {groups}")?;
        for error in &self.errors {
            writeln!(out, "\nerror, which denies: {error}")?;
        }
        for policy in &self.deciding {
            let effect = policy.effect.as_deref().unwrap_or("decided");
            let place = policy.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
            writeln!(out, "\n{effect} `{}`{place}", policy.policy)?;
            if let Some(sentence) = &policy.sentence {
                writeln!(out, "  {sentence}")?;
            }
        }
        if let Some(near) = &self.nearest {
            writeln!(out, "\nno policy permits it; the nearest is `{}` ({})", near.policy, near.place)?;
            if let Some(sentence) = &near.sentence {
                writeln!(out, "  {sentence}")?;
            }
            for failing in &near.failing {
                writeln!(out, "  fails: {}", failing.finding)?;
                writeln!(out, "         {}", failing.condition)?;
            }
        } else if self.ruling == Ruling::Denied && self.deciding.is_empty() && self.errors.is_empty() {
            writeln!(out, "\nno policy permits it, and none comes near")?;
        }
        writeln!(out, "\nfacts")?;
        let width = self.facts.keys().map(String::len).max().unwrap_or(0);
        for (name, value) in &self.facts {
            writeln!(out, "  {name:width$}  {value}")?;
        }
        match &self.paste {
            Paste::NotNeeded => Ok(()),
            Paste::Withheld(why) => writeln!(out, "\nno permit to paste: {why}"),
            Paste::Permit(text) => write!(out, "\nto permit this\n\n{text}"),
        }
    }
}
