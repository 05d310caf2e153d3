//! Source code, lock files, manifests and commits, made up.

use super::{Chance, NAMES};

/// The next piece.
pub(crate) fn snippet(c: &mut Chance, out: &mut String) {
    let text = match c.below(18) {
        0 => format!(
            "fn {}(&self, {}: &str) -> Result<{}, Error> {{\n    let {} = self.{}.get({})?;\n    Ok({}.parse()?)\n}}\n\n",
            c.name(),
            c.word(),
            c.pick(&["String", "u64", "Config"]),
            c.word(),
            c.word(),
            c.word(),
            c.word()
        ),
        1 => format!(
            "def {}({}, {}=None):\n    \"\"\"Return the {} of the {}.\"\"\"\n    token = next_token({})\n    return {}[token.{}]\n\n",
            c.name(),
            c.word(),
            c.word(),
            c.word(),
            c.word(),
            c.word(),
            c.word(),
            c.word()
        ),
        2 => format!(
            "const {} = async ({}) => {{\n  const response = await fetch(`/api/v{}/${{{}}}`, {{ headers: {{ Authorization: `Bearer ${{token}}` }} }});\n  return response.json();\n}};\n\n",
            c.camel(),
            c.word(),
            c.below(4),
            c.word()
        ),
        3 => format!(
            "import os\napi_key = os.environ[\"API_KEY\"]\npassword = getpass.getpass(\"Password: \")\nclient = {}(api_key=api_key, timeout={})\n\n",
            c.camel(),
            c.below(90)
        ),
        4 => format!(
            "  \"node_modules/{}-{}\": {{\n    \"version\": \"{}\",\n    \"resolved\": \"https://registry.example/{}/-/{}-{}.tgz\",\n    \"integrity\": \"sha512-{}==\"\n  }},\n",
            c.word(),
            c.word(),
            c.version(),
            c.word(),
            c.word(),
            c.version(),
            c.base64(86)
        ),
        5 => format!(
            "[[package]]\nname = \"{}\"\nversion = \"{}\"\nchecksum = \"{}\"\n\n",
            c.name(),
            c.version(),
            c.hex(64)
        ),
        6 => format!(
            "{}:\n  image: registry.example/{}@sha256:{}\n  replicas: {}\n  env:\n    - name: {}_TOKEN\n      valueFrom: {{ secretKeyRef: {{ name: {}, key: token }} }}\n",
            c.word(),
            c.word(),
            c.hex(64),
            c.below(9),
            c.word().to_uppercase(),
            c.name()
        ),
        7 => format!(
            "resource \"aws_{}\" \"{}\" {{\n  ami           = \"ami-{}\"\n  instance_type = \"m{}.large\"\n  subnet_id     = \"subnet-{}\"\n  password      = var.{}_password\n}}\n\n",
            c.word(),
            c.word(),
            c.hex(17),
            c.below(7),
            c.hex(17),
            c.word()
        ),
        8 => format!(
            "pub const {}: [u8; {}] = [0x{}, 0x{}, 0x{}, 0x{}]; // {}\n",
            c.name().to_uppercase(),
            c.below(32),
            c.hex(2),
            c.hex(2),
            c.hex(2),
            c.hex(2),
            c.word()
        ),
        9 => format!(
            ".{}-{} {{ color: #{}; background: url(data:image/png;base64,{}=); margin: {}px; }}\n",
            c.word(),
            c.word(),
            c.hex(6),
            c.base64(80),
            c.below(90)
        ),
        10 => format!(
            "-- {}\nSELECT {}.{}, count(*) FROM {} WHERE {} = $1 AND id = '{}' GROUP BY 1;\n",
            c.word(),
            c.word(),
            c.word(),
            c.word(),
            c.word(),
            c.uuid()
        ),
        11 => format!(
            "class {}Test {{\n  @Test void {}() {{ assertEquals({}, {}.{}(\"{}\")); }}\n}}\n",
            c.camel(),
            c.camel(),
            c.below(9000),
            c.word(),
            c.camel(),
            c.word()
        ),
        12 => format!(
            "commit {}\nAuthor: {}\nDate:   {}\n\n    Make {} of the {} ({})\n\n",
            c.hex(40),
            c.pick(NAMES),
            c.date(),
            c.word(),
            c.word(),
            c.version()
        ),
        13 => format!(
            "diff --git a/{}/{}.rs b/{}/{}.rs\nindex {}..{} 100644\n",
            c.word(),
            c.word(),
            c.word(),
            c.word(),
            c.hex(10),
            c.hex(10)
        ),
        14 => format!(
            "export {}_URL=postgres://${{USER}}:${{PASSWORD}}@{}.internal:5432/{}\nexport {}_KEY=$(cat /run/secrets/{})\n",
            c.word().to_uppercase(),
            c.word(),
            c.word(),
            c.word().to_uppercase(),
            c.name()
        ),
        15 => format!(
            "const {}_ID: &str = \"{}\";\nlet key = format!(\"{{}}:{{}}\", {}.{}, {});\nlet secret_name = \"{}\";\n",
            c.word().to_uppercase(),
            c.uuid(),
            c.word(),
            c.word(),
            c.word(),
            c.name()
        ),
        16 => format!(
            "/// Returns the {} for each {} ({} at most).\n#[derive(Clone, Debug)]\nstruct {} {{ {}: u{}, key: Key, token: Option<Token> }}\n",
            c.word(),
            c.word(),
            c.below(900),
            c.camel(),
            c.word(),
            c.pick(&["8", "16", "32", "64"])
        ),
        _ => format!(
            "if ({}.{} > {}) {{ {}({}); }} else {{ throw new {}Error(\"{} {} not found\"); }}\n",
            c.word(),
            c.word(),
            c.below(999),
            c.camel(),
            c.word(),
            c.camel(),
            c.word(),
            c.word()
        ),
    };
    out.push_str(&text);
}
