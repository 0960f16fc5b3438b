//! Damaged files for tests, the same ones each time.

/// Numbers by a seed (xorshift64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % end
    }

    /// A place in a file: near its beginning or its end, where headers are.
    fn place(&mut self, length: usize) -> usize {
        let near = self.below(length.min(600));
        match self.below(3) {
            0 => length - 1 - near,
            _ => near,
        }
    }

    /// Changes a few bytes, and sometimes cuts a part out, repeats one, or ends the file early.
    pub(super) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(8) {
            if bytes.is_empty() {
                return;
            }
            let at = self.place(bytes.len());
            match self.below(12) {
                0 => bytes.truncate(at),
                1 => {
                    let end = (at + 1 + self.below(16)).min(bytes.len());
                    bytes.drain(at..end);
                }
                2 => {
                    let end = (at + 1 + self.below(64)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                3 => bytes[at] = 0xff,
                4 => bytes[at] = 0,
                5 => bytes[at] ^= 1 << self.below(8),
                _ => bytes[at] = self.below(256) as u8,
            }
        }
    }
}
