//! Numbers that states give to people and firms. Where a check digit alone would fit one number in ten,
//! a word must say what the number is, unless it is written in the form that only such numbers have.

use crate::check::nations::*;
use crate::check::{ANY, SSN};
use crate::rule::{Check, Rule};

/// `n` digits, with single separators anywhere.
fn digits(n: usize) -> String {
    format!(r"\b[0-9](?:[ ./-]?[0-9]){{{}}}\b", n - 1)
}

/// A number of `n` digits near a word.
fn worded(
    name: &'static str,
    class: &'static str,
    n: usize,
    check: Check,
    words: &'static [&'static str],
    source: &'static str,
) -> Rule {
    Rule::spelled(name, class, digits(n), check, source).near(words)
}

fn formed(
    name: &'static str,
    class: &'static str,
    pattern: &'static str,
    check: Check,
    source: &'static str,
) -> Rule {
    Rule::spelled(name, class, pattern, check, source)
}

/// Every rule, in order of precedence.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = america();
    rules.extend(europe());
    rules.extend(asia_and_south());
    rules
}

fn america() -> Vec<Rule> {
    vec![
        formed(
            "us-ssn",
            "pii.us-ssn",
            r"\b[0-8][0-9]{2}[- ][0-9]{2}[- ][0-9]{4}\b",
            SSN,
            "SSA POMS RM 10201",
        ),
        worded("us-ssn-bare", "pii.us-ssn", 9, BARE_SSN, &["ssn", "social security"], "SSA POMS RM 10201"),
        formed(
            "us-itin",
            "pii.us-itin",
            r"\b9[0-9]{2}[- ][0-9]{2}[- ][0-9]{4}\b",
            ITIN,
            "IRS Publication 4757",
        ),
        worded("us-aba", "pii.us-bank", 9, ABA, &["aba", "routing", "rtn"], "ABA routing number policy"),
        worded("us-npi", "pii.us-npi", 10, NPI, &["npi", "provider identifier"], "45 CFR 162.406"),
        formed(
            "us-mbi",
            "pii.us-mbi",
            r"\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}\b",
            ANY,
            "CMS, Understanding the MBI",
        ),
        formed(
            "us-dea",
            "pii.us-medical-license",
            r"\b[A-HJ-NPR-UX][A-Z9][0-9]{7}\b",
            DEA,
            "DEA registration numbers",
        )
        .near(&["dea", "license", "registration", "prescriber"]),
        formed("us-passport", "pii.passport", r"\b[A-Z]?[0-9]{8,9}\b", ANY, "US Department of State")
            .near(&["passport"]),
        formed(
            "us-driver-license",
            "pii.driver-license",
            r"\b(?:[A-Z]{1,2}[0-9]{5,14}|[0-9]{6,16})\b",
            ANY,
            "AAMVA, formats by state",
        )
        .near(&[
            "driver's license",
            "drivers license",
            "driver license",
            "driving license",
            "driver's licence",
            "driving licence",
            "dl number",
            "license number",
        ]),
        worded("us-bank-account", "pii.us-bank", 10, ANY, &["account number", "bank account", "acct"], "ABA"),
        worded("ca-sin", "pii.ca-sin", 9, SIN, &["sin", "social insurance", "nas"], "Canada Revenue Agency"),
        formed("br-cpf", "pii.br-cpf", r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", CPF, "Receita Federal"),
        worded("br-cpf-bare", "pii.br-cpf", 11, CPF, &["cpf"], "Receita Federal"),
        formed(
            "br-cnpj",
            "pii.br-cnpj",
            r"\b[A-Z0-9]{2}\.[A-Z0-9]{3}\.[A-Z0-9]{3}/[A-Z0-9]{4}-[0-9]{2}\b",
            CNPJ,
            "Receita Federal, alphanumeric CNPJ",
        ),
        formed("br-cnpj-bare", "pii.br-cnpj", r"\b[A-Z0-9]{12}[0-9]{2}\b", CNPJ, "Receita Federal")
            .near(&["cnpj"]),
        worded("br-cnh", "pii.br-cnh", 11, CNH, &["cnh", "habilitacao", "carteira de motorista"], "DENATRAN"),
        worded("br-pis", "pii.br-pis", 11, PIS, &["pis", "pasep", "nit", "nis"], "Caixa"),
        worded("br-cns", "pii.br-cns", 15, CNS, &["cns", "cartao nacional", "sus"], "DATASUS"),
        worded(
            "br-titulo",
            "pii.br-titulo",
            12,
            TITULO,
            &["titulo", "eleitor"],
            "Tribunal Superior Eleitoral",
        ),
        worded("br-renavam", "pii.br-renavam", 11, RENAVAM, &["renavam"], "DENATRAN"),
        formed(
            "br-pix-key",
            "pii.br-pix-key",
            r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
            ANY,
            "Banco Central do Brasil",
        )
        .near(&["pix"]),
        formed("br-cep", "pii.br-cep", r"\b[0-9]{5}-?[0-9]{3}\b", ANY, "Correios").near(&["cep"]),
        formed("br-placa", "pii.br-placa", r"\b[A-Za-z]{3}-?[0-9][A-Za-z0-9][0-9]{2}\b", ANY, "CONTRAN 729")
            .near(&["placa"]),
        formed(
            "mx-curp",
            "pii.mx-curp",
            r"\b[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[A-Z0-9][0-9]\b",
            MX_CURP,
            "RENAPO",
        ),
        formed("mx-rfc", "pii.mx-rfc", r"\b[A-Z&]{3,4}[0-9]{6}[A-Z0-9]{3}\b", MX_RFC, "SAT")
            .near(&["rfc", "contribuyentes"]),
        formed("ar-cuit", "pii.ar-cuit", r"\b[0-9]{2}-[0-9]{8}-[0-9]\b", AR_CUIT, "AFIP"),
        formed(
            "cl-rut",
            "pii.cl-rut",
            r"\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]\b",
            CL_RUT,
            "Registro Civil",
        ),
        worded("co-nit", "pii.co-nit", 10, CO_NIT, &["nit"], "DIAN"),
    ]
}

fn europe() -> Vec<Rule> {
    vec![
        formed("uk-nhs", "pii.uk-nhs", r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}\b", NHS, "NHS Data Dictionary")
            .near(&["nhs", "patient", "hospital"]),
        worded("uk-nhs-bare", "pii.uk-nhs", 10, NHS, &["nhs"], "NHS Data Dictionary"),
        formed(
            "uk-nino",
            "pii.uk-nino",
            r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
            NINO,
            "HMRC NIM39110",
        ),
        formed(
            "uk-driving-licence",
            "pii.driver-license",
            r"\b[A-Z9]{5}[0-9][0-9]{5}[A-Z9]{2}[A-Z0-9][A-Z]{2}\b",
            UK_LICENCE,
            "DVLA, driver number",
        ),
        formed(
            "uk-postcode",
            "pii.postcode",
            r"\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b",
            ANY,
            "Royal Mail",
        )
        .near(&["postcode", "post code"]),
        formed("uk-vehicle", "pii.uk-vehicle", r"\b[A-Z]{2}[0-9]{2} ?[A-Z]{3}\b", ANY, "DVLA INF104")
            .near(&["registration", "vrm", "number plate", "reg"]),
        worded("uk-utr", "pii.uk-utr", 10, UTR, &["utr", "taxpayer reference"], "HMRC"),
        formed("es-nif", "pii.es-nif", r"\b[0-9]{8}-?[A-HJ-NP-TV-Z]\b", ES_NIF, "Ministerio del Interior"),
        formed(
            "es-nie",
            "pii.es-nie",
            r"\b[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]\b",
            ES_NIE,
            "Ministerio del Interior",
        ),
        formed(
            "it-fiscal-code",
            "pii.it-fiscal-code",
            r"\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
            IT_FISCAL_CODE,
            "Agenzia delle Entrate",
        ),
        worded(
            "it-vat",
            "pii.it-vat",
            11,
            IT_VAT,
            &["partita iva", "p.iva", "piva", "iva", "vat"],
            "Agenzia delle Entrate",
        ),
        worded(
            "de-tax-id",
            "pii.de-tax-id",
            11,
            DE_TAX_ID,
            &["steuer", "steuer-id", "idnr", "tin", "steueridentifikationsnummer", "steuernummer", "tax id"],
            "Bundeszentralamt für Steuern",
        ),
        formed(
            "de-id-card",
            "pii.de-id-card",
            r"\b[CFGHJKLMNPRTVWXYZ0-9]{9}[0-9]\b",
            ICAO_NUMBER,
            "ICAO Doc 9303",
        )
        .near(&[
            "ausweis",
            "personalausweis",
            "ausweisnummer",
            "reisepass",
            "passport",
            "id card",
            "passnummer",
        ]),
        formed(
            "de-pension",
            "pii.de-pension",
            r"\b[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}\b",
            DE_PENSION,
            "Deutsche Rentenversicherung",
        ),
        formed(
            "de-health-insurance",
            "pii.de-health-insurance",
            r"\b[A-Z][0-9]{9}\b",
            DE_HEALTH,
            "§ 290 SGB V",
        )
        .near(&[
            "krankenversicherung",
            "versichertennummer",
            "kvnr",
            "krankenkasse",
            "health insurance",
        ]),
        worded(
            "de-lanr",
            "pii.de-lanr",
            9,
            LANR,
            &["lanr", "arztnummer"],
            "Kassenärztliche Bundesvereinigung",
        ),
        worded(
            "de-bsnr",
            "pii.de-bsnr",
            9,
            BSNR,
            &["bsnr", "betriebsstättennummer", "betriebsstaettennummer"],
            "Kassenärztliche Bundesvereinigung",
        ),
        formed(
            "fr-nir",
            "pii.fr-nir",
            r"\b[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
            FR_NIR,
            "INSEE",
        ),
        worded(
            "nl-bsn",
            "pii.nl-bsn",
            9,
            BSN,
            &["bsn", "burgerservicenummer", "sofinummer"],
            "Rijksdienst voor Identiteitsgegevens",
        ),
        formed(
            "be-rrn",
            "pii.be-rrn",
            r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b",
            BE_RRN,
            "Rijksregister",
        ),
        worded(
            "be-rrn-bare",
            "pii.be-rrn",
            11,
            BE_RRN,
            &["rijksregisternummer", "rrn", "insz", "niss", "registre national"],
            "Rijksregister",
        ),
        worded(
            "no-fnr",
            "pii.no-fnr",
            11,
            NO_FNR,
            &["fodselsnummer", "fødselsnummer", "fnr", "personnummer"],
            "Skatteetaten",
        ),
        formed("dk-cpr", "pii.dk-cpr", r"\b[0-9]{6}-?[0-9]{4}\b", DK_CPR, "CPR-kontoret").near(&[
            "cpr",
            "personnummer",
            "cpr-nummer",
        ]),
        formed(
            "ch-ahv",
            "pii.ch-ahv",
            r"\b756[.]?[0-9]{4}[.]?[0-9]{4}[.]?[0-9]{2}\b",
            CH_AHV,
            "Zentrale Ausgleichsstelle",
        ),
        worded("pt-nif", "pii.pt-nif", 9, PT_NIF, &["nif", "contribuinte"], "Autoridade Tributária"),
        worded(
            "at-svnr",
            "pii.at-svnr",
            10,
            AT_SVNR,
            &["svnr", "sozialversicherungsnummer", "sv-nummer"],
            "Dachverband der Sozialversicherungsträger",
        ),
        formed(
            "ie-pps",
            "pii.ie-pps",
            r"\b[0-9]{7}[A-W][A-IW]?\b",
            IE_PPS,
            "Department of Social Protection",
        )
        .near(&["pps", "ppsn"]),
        formed(
            "cz-birth-number",
            "pii.cz-birth-number",
            r"\b[0-9]{6}/[0-9]{3,4}\b",
            CZ_RC,
            "Czech and Slovak population registers",
        )
        .near(&["rodne cislo", "rodné číslo", "birth number", "rc", "rč"]),
        worded("pl-pesel", "pii.pl-pesel", 11, PESEL, &["pesel"], "Ministerstwo Cyfryzacji"),
        formed(
            "se-personnummer",
            "pii.se-personnummer",
            r"\b(?:19|20)?[0-9]{6}[+-][0-9]{4}\b",
            SE_PNR,
            "Skatteverket SKV 704",
        ),
        formed(
            "fi-hetu",
            "pii.fi-hetu",
            r"\b[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]\b",
            FI_HETU,
            "Digital and Population Data Services Agency",
        ),
    ]
}

fn asia_and_south() -> Vec<Rule> {
    vec![
        formed("in-aadhaar", "pii.in-aadhaar", r"\b[2-9][0-9]{3} [0-9]{4} [0-9]{4}\b", AADHAAR, "UIDAI"),
        worded("in-aadhaar-bare", "pii.in-aadhaar", 12, AADHAAR, &["aadhaar", "aadhar", "uidai"], "UIDAI"),
        formed(
            "in-pan",
            "pii.in-pan",
            r"\b[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]\b",
            ANY,
            "Income Tax Department",
        ),
        formed(
            "in-gstin",
            "pii.in-gstin",
            r"\b[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]\b",
            GSTIN,
            "GSTN",
        ),
        worded("tr-id", "pii.tr-id", 11, TR_ID, &["tc", "kimlik", "tckn", "t.c"], "NVİ"),
        formed(
            "kr-rrn",
            "pii.kr-rrn",
            r"\b[0-9]{6}-[1-8][0-9]{6}\b",
            KR_RRN,
            "Ministry of the Interior and Safety",
        ),
        formed("kr-brn", "pii.kr-brn", r"\b[0-9]{3}-[0-9]{2}-[0-9]{5}\b", KR_BRN, "National Tax Service"),
        worded(
            "jp-my-number",
            "pii.jp-my-number",
            12,
            JP_MY_NUMBER,
            &["my number", "mynumber", "個人番号", "マイナンバー"],
            "Digital Agency",
        ),
        formed("cn-resident-id", "pii.cn-resident-id", r"\b[1-8][0-9]{16}[0-9Xx]\b", CN_RIC, "GB 11643"),
        formed("tw-id", "pii.tw-id", r"\b[A-Z][1289][0-9]{8}\b", TW_ID, "Ministry of the Interior").near(&[
            "id",
            "identity",
            "national",
            "taiwan",
            "身分證",
        ]),
        formed("hk-id", "pii.hk-id", r"\b[A-Z]{1,2}[0-9]{6}\([0-9A]\)", HK_ID, "Immigration Department"),
        formed(
            "sg-nric",
            "pii.sg-nric",
            r"\b[STFGM][0-9]{7}[A-Z]\b",
            SG_NRIC,
            "Immigration & Checkpoints Authority",
        ),
        formed(
            "sg-uen",
            "pii.sg-uen",
            r"\b(?:[0-9]{8,9}[A-Z]|[TSR][0-9]{2}[A-Z]{2}[0-9]{4}[A-Z])\b",
            ANY,
            "ACRA",
        )
        .near(&["uen"]),
        worded(
            "th-id",
            "pii.th-id",
            13,
            TH_ID,
            &["thai id", "thai national", "thailand", "national id", "citizen id", "บัตรประชาชน"],
            "Department of Provincial Administration",
        ),
        worded(
            "za-id",
            "pii.za-id",
            13,
            ZA_ID,
            &["id number", "identity", "rsa id", "south african", "id no", "sa id"],
            "Department of Home Affairs",
        ),
        worded(
            "za-tax",
            "pii.za-tax",
            10,
            ZA_TAX,
            &["sars", "income tax", "vat", "tax number"],
            "South African Revenue Service",
        ),
        worded("ng-nin", "pii.ng-nin", 11, NG_NIN, &["nin", "nimc"], "NIMC"),
        worded("ph-tin", "pii.ph-tin", 12, ANY, &["tin", "bir"], "Bureau of Internal Revenue"),
        worded("ph-umid", "pii.ph-umid", 12, ANY, &["umid", "crn"], "SSS"),
        worded("au-tfn", "pii.au-tfn", 9, TFN, &["tfn", "tax file"], "Australian Taxation Office"),
        worded("au-abn", "pii.au-abn", 11, ABN, &["abn", "business number"], "Australian Business Register"),
        worded("au-acn", "pii.au-acn", 9, ACN, &["acn", "company number"], "ASIC"),
        worded("au-medicare", "pii.au-medicare", 10, MEDICARE, &["medicare"], "Services Australia"),
    ]
}
