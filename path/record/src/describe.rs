//! What the path knows of an exchange, in the words of the ledger's messages.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use jiff::Timestamp;
use model::{DataClass, Decision, Findings, Identity, Judgement, Operation, Question, Refusal, Ruling};

use crate::body::Header;
use crate::{leaf, opened};

/// A time as the ledger writes it, clamped to what 64 bits hold.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let nanos = at.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Headers whose values open something. No step should pass them here; if one does, they are not kept.
const SECRET: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
];

pub(crate) fn headers(map: &HeaderMap) -> Vec<Header> {
    map.iter()
        .map(|(name, value)| Header {
            name: name.as_str().to_owned(),
            value: if SECRET.contains(name) { b"[removed]".to_vec() } else { value.as_bytes().to_vec() },
        })
        .collect()
}

pub(crate) fn caller(identity: &Identity) -> opened::Caller {
    let token = &identity.token;
    opened::Caller {
        issuer: identity.issuer.clone(),
        issuer_name: identity.issuer_name.clone(),
        subject: identity.subject.clone(),
        kind: identity.kind.as_str().to_owned(),
        groups: identity.groups.iter().cloned().collect(),
        email: identity.email.clone(),
        display: identity.display.clone(),
        token: Some(opened::Token {
            digest: token.digest.clone(),
            issued_at: token.issued_at.map(nanoseconds),
            expires_at: nanoseconds(token.expires_at),
            authenticated_at: token.authenticated_at.map(nanoseconds),
            audiences: token.audiences.clone(),
            client: token.client.clone(),
            methods: token.methods.iter().cloned().collect(),
            context_class: token.context_class.clone(),
            scopes: token.scopes.iter().cloned().collect(),
            mfa: token.mfa,
            claims: token.claims.clone(),
        }),
    }
}

pub(crate) fn operation(operation: &Operation) -> opened::Operation {
    let facts = &operation.facts;
    opened::Operation {
        class: operation.class.as_str().to_owned(),
        name: operation.name.clone(),
        model: facts.model.clone(),
        method: facts.method.clone(),
        path: facts.path.clone(),
        stream: facts.stream,
        batch: facts.batch,
        max_tokens: facts.max_tokens,
        request_bytes: facts.request_bytes,
        tools: facts.tools,
        images: facts.images,
        audio: facts.audio,
        matches: facts.matches.iter().cloned().collect(),
    }
}

fn ruling(ruling: Ruling) -> (String, u32) {
    match ruling {
        Ruling::Allowed => ("allowed".to_owned(), 0),
        Ruling::NeedsApprovals(count) => ("needs-approvals".to_owned(), u32::from(count)),
        Ruling::Denied => ("denied".to_owned(), 0),
    }
}

fn judgement(judgement: &Judgement) -> opened::Judgement {
    let (ruling, approvals) = ruling(judgement.ruling);
    let reason = |reason: &model::PolicyReason| opened::Reason {
        policy: reason.policy.clone(),
        sentence: reason.sentence.clone(),
    };
    opened::Judgement {
        ruling,
        approvals,
        reasons: judgement.reasons.iter().map(reason).collect(),
        errors: judgement.errors.clone(),
        principal: judgement.principal.clone(),
        action: judgement.action.clone(),
        resource: judgement.resource.clone(),
        context: judgement.context.get().to_owned(),
        entities: judgement.entities.get().to_owned(),
    }
}

pub(crate) fn decision(decision: &Decision) -> opened::Decision {
    let (ruling, approvals) = ruling(decision.ruling);
    opened::Decision {
        ruling,
        approvals,
        policy_set: decision.policy_set.0.to_vec(),
        judgements: decision.judgements.iter().map(judgement).collect(),
    }
}

pub(crate) fn request(question: &Question) -> opened::RequestHead {
    opened::RequestHead {
        method: question.method().as_str().to_owned(),
        path: question.path().to_owned(),
        query: question.query().map(str::to_owned),
        headers: headers(question.headers()),
    }
}

/// What stands for a session's name.
pub(crate) fn session(name: &str) -> Vec<u8> {
    let digest = (!name.is_empty()).then(|| crate::digest::sha256(name.as_bytes()));
    digest.and_then(|digest| Some(digest.get(..16)?.to_vec())).unwrap_or_default()
}

/// Bytes of a reason or detail that are kept.
const WORDS: usize = 16 << 10;

pub(crate) fn refusal(refusal: &Refusal) -> leaf::Refusal {
    leaf::Refusal {
        code: refusal.code.name().to_owned(),
        reason: clipped(&refusal.reason, WORDS),
        policies: refusal.policies.clone(),
        retry_after: refusal.retry_after,
        detail: refusal.detail.as_deref().map(|detail| clipped(detail, WORDS)),
    }
}

pub(crate) fn findings(findings: &Findings) -> Vec<leaf::Finding> {
    let classes: BTreeSet<&DataClass> = findings.masked.keys().chain(findings.revealed.keys()).collect();
    let finding = |class: &DataClass| leaf::Finding {
        class: class.as_str().to_owned(),
        masked: findings.masked.get(class).copied().unwrap_or(0),
        revealed: findings.revealed.get(class).copied().unwrap_or(0),
    };
    classes.into_iter().map(finding).collect()
}

/// At most `most` bytes of `text`, cut between characters.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

/// Pieces of `bytes` of at most `most` bytes.
pub(crate) fn pieces(bytes: Bytes, most: usize) -> impl Iterator<Item = Bytes> {
    let mut rest = bytes;
    std::iter::from_fn(move || if rest.is_empty() { None } else { Some(rest.split_to(rest.len().min(most))) })
}
