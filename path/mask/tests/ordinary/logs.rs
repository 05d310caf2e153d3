//! Log lines, made up.

use super::Chance;

/// The next line.
pub(crate) fn line(c: &mut Chance, out: &mut String) {
    let at = format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        c.date(),
        c.below(24),
        c.below(60),
        c.below(60),
        c.below(1000)
    );
    let ip = format!("10.{}.{}.{}", c.below(256), c.below(256), c.below(256));
    let text = match c.below(10) {
        0 => format!(
            "{{\"ts\":\"{at}\",\"level\":\"info\",\"msg\":\"request completed\",\"request_id\":\"{}\",\"trace_id\":\"{}\",\"span_id\":\"{}\",\"status\":200,\"duration_ms\":{}.{},\"client\":\"{ip}\"}}\n",
            c.uuid(),
            c.hex(32),
            c.hex(16),
            c.below(900),
            c.below(1000)
        ),
        1 => format!(
            "{{\"ts\":\"{at}\",\"level\":\"warn\",\"logger\":\"com.example.{}.{}\",\"msg\":\"{} took {} ms\",\"thread\":\"http-nio-8080-exec-{}\",\"pid\":{}}}\n",
            c.word(),
            c.camel(),
            c.word(),
            c.below(9000),
            c.below(90),
            c.below(65_000)
        ),
        2 => format!(
            "{{\"ts\":\"{at}\",\"pod\":\"{}-{}-{}\",\"image\":\"registry.example/{}:{}@sha256:{}\",\"node\":\"ip-10-0-{}-{}\"}}\n",
            c.word(),
            c.hex(9),
            c.of("bcdfghjklmnpqrstvwxz2456789", 5),
            c.word(),
            c.version(),
            c.hex(64),
            c.below(256),
            c.below(256)
        ),
        3 => format!(
            "{ip} - - [{}:{:02}:{:02}:00 +0000] \"GET /{}/{}/{}?page={}&sort={} HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101\"\n",
            c.date(),
            c.below(24),
            c.below(60),
            c.word(),
            c.word(),
            c.below(90_000),
            c.below(40),
            c.word(),
            c.below(90_000),
            c.below(130)
        ),
        4 => format!(
            "{{\"ts\":\"{at}\",\"order_id\":{},\"customer\":\"C-{}\",\"total\":{}.{:02},\"currency\":\"EUR\",\"items\":[{{\"sku\":\"{}-{}\",\"quantity\":{}}}]}}\n",
            100_000_000 + c.below(800_000_000),
            c.below(900_000),
            c.below(900),
            c.below(100),
            c.of("ABCDEFGHJK", 3),
            10_000 + c.below(80_000),
            c.below(9)
        ),
        5 => format!(
            "{{\"ts\":\"{at}\",\"etag\":\"W/\\\"{}\\\"\",\"cursor\":\"{}\",\"path\":\"/var/lib/{}/{}/{}.log\",\"bytes\":{}}}\n",
            c.hex(20),
            c.base64(24),
            c.word(),
            c.word(),
            c.hex(12),
            c.below(9_000_000)
        ),
        6 => format!(
            "{{\"ts\":\"{at}\",\"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":{},\"total_tokens\":{}}},\"model\":\"{}-{}b-v{}\",\"id\":\"chatcmpl-{}\"}}\n",
            c.below(9000),
            c.below(900),
            c.below(9900),
            c.word(),
            c.below(90),
            c.version(),
            c.hex(24)
        ),
        7 => format!(
            "{at} INFO  [{}] {}.{}: partition={} offset={} lag={} key=null leader={}\n",
            c.hex(8),
            c.word(),
            c.camel(),
            c.below(64),
            c.below(900_000_000),
            c.below(900),
            c.below(9)
        ),
        8 => format!(
            "{{\"ts\":\"{at}\",\"event\":\"push\",\"commit\":\"{}\",\"before\":\"{}\",\"ref\":\"refs/heads/{}-{}\",\"deploy\":\"{}\"}}\n",
            c.hex(40),
            c.hex(40),
            c.word(),
            c.below(9000),
            c.uuid()
        ),
        _ => format!(
            "{at} DEBUG {}::{} {{id={} epoch={} mono={} lat={}.{} ver={}}}\n",
            c.word(),
            c.word(),
            c.below(1 << 40),
            1_600_000_000 + c.below(150_000_000),
            c.below(1 << 44),
            c.below(90),
            c.below(1000),
            c.version()
        ),
    };
    out.push_str(&text);
}
