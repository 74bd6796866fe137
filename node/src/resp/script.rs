//! The one script this store runs: compare-and-set.

const COMPARE_AND_SET: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then \
    redis.call('SET',KEYS[1],ARGV[2]) return 1 else return 0 end";

/// Whether a script is the compare-and-set one, whitespace aside.
pub fn is_compare_and_set(script: &[u8]) -> bool {
    let words = |text: &[u8]| -> Vec<u8> {
        text.iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect()
    };
    words(script) == words(COMPARE_AND_SET.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_does_not_matter_and_anything_else_does() {
        assert!(is_compare_and_set(
            b"if redis.call('GET', KEYS[1]) == ARGV[1] then\n  redis.call('SET', KEYS[1], ARGV[2])\n  return 1\nelse\n  return 0\nend\n"
        ));
        assert!(!is_compare_and_set(b"return 1"));
    }
}
