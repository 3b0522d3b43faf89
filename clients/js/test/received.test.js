// What a server sends byte by byte takes no more memory than its bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Received } from '../src/received.js';

test('small pieces are joined', () => {
  const [received, want] = [new Received(), Buffer.alloc(100_000)];
  want.forEach((_, i) => (want[i] = i));
  for (let i = 0; i < want.length; i++) {
    received.add(want.subarray(i, i + 1));
    assert.ok(received.pieces < 1024);
  }
  assert.equal(received.size, want.length);
  assert.deepEqual(received.peek().subarray(0, 10), want.subarray(0, 10));
  assert.deepEqual(received.take(), want);
  assert.equal(received.size + received.pieces, 0);
});
