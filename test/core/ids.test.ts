import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeBase32,
  hashToken,
  jobIdLength,
  jobIdPattern,
  newJobId,
  newToken,
} from '../../services/core/ids.ts';

test('a job id has 26 characters of base32, and no two are the same', () => {
  const ids = Array.from({ length: 10_000 }, () => newJobId(Date.now()));

  for (const id of ids) expect(id).toMatch(jobIdPattern);
  expect(ids[0]).toHaveLength(jobIdLength);
  expect(new Set(ids).size).toBe(ids.length);
});

// RFC 4648, section 10, in lower case and without padding.
test.each([
  ['', ''],
  ['f', 'my'],
  ['fo', 'mzxq'],
  ['foo', 'mzxw6'],
  ['foob', 'mzxw6yq'],
  ['fooba', 'mzxw6ytb'],
  ['foobar', 'mzxw6ytboi'],
])('%j in base32 is %j', (text, encoded) => {
  expect(encodeBase32(Buffer.from(text))).toBe(encoded);
});

test('different bytes have different base32', () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(bytes, bytes, (one, other) => {
      expect(encodeBase32(one) === encodeBase32(other)).toBe(Buffer.compare(one, other) === 0);
    }),
  );
});

test('a token has the form that clients and secret scanners know', () => {
  expect(newToken()).toMatch(/^r8_[a-z2-7]{37}$/);
  expect(newToken()).not.toBe(newToken());
});

test('a token is stored as a hash, the same each time', () => {
  expect(hashToken('r8_secret')).toBe(hashToken('r8_secret'));
  expect(hashToken('r8_secret')).toMatch(/^[0-9a-f]{64}$/);
  expect(hashToken('r8_secret')).not.toBe(hashToken('r8_secres'));
});
