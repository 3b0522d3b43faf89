// Runs the protocol's test vectors that are for clients: see vectors/README.md.

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProtocolError, Refused, ResponseTooLong, ServerKey } from '../src/index.js';
import * as packets from '../src/packets.js';

const folder = process.env.MEGAKI_VECTORS ?? fileURLToPath(new URL('../../../vectors', import.meta.url));
const due = {
  'client-syn-ack': [packets.SYN_ACK],
  'client-ack-ack': [packets.ACK_ACK],
  'client-rstor-ack': [packets.RSTOR_ACK, packets.REQ_REHS],
  'client-message': [packets.MSG],
};
const bytes = (hex) => Buffer.from(hex ?? '', 'hex');

/** A failure by its name in the vectors. */
class Failure extends Error {}

/** Checks that the bytes are exactly one packet. */
function framed(packet, types, limit) {
  const size = packets.frameSize(packet, types, limit);
  if (size === 0 || packet.length < size) {
    throw new Failure('incomplete');
  }
  if (packet.length > size) {
    throw new ProtocolError('bytes after the packet');
  }
}

function received(packet, key, seen, limit) {
  framed(packet, [packets.MSG], limit);
  const plain = packets.unseal(key, packet);
  if (!seen.add(packet)) {
    throw new Failure('replay');
  }
  return plain.toString('hex');
}

/** Returns how a vector or a step ends. A client closes for each of the last, and doesn't distinguish them. */
function resultOf(v, work) {
  try {
    return work() ?? 'ok';
  } catch (error) {
    if (error instanceof Failure) {
      return error.message;
    }
    if (error instanceof ResponseTooLong) {
      return 'too-long';
    }
    if (error instanceof Refused) {
      assert.equal(error.refusal, v.code);
      return 'server-error';
    }
    if (error instanceof ProtocolError || error instanceof TypeError) {
      return ['crypto', 'malformed', 'bad-key'].includes(v.expect) ? v.expect : `refused: ${error.message}`;
    }
    throw error;
  }
}

const operations = {
  'public-key'(v) {
    assert.equal(new ServerKey(bytes(v.modulus + v.exponent)).toBytes().toString('hex'), v.modulus + v.exponent);
  },
  derive(v) {
    assert.equal(packets.derive(bytes(v.server_symmetric), bytes(v.client_symmetric)).toString('hex'), v.key);
  },
  frame(v) {
    const size = packets.frameSize(bytes(v.packet), due[v.state], v.limit);
    if (size === 0) {
      return 'incomplete';
    }
    assert.equal(size, v.size);
  },
  'open-syn-ack'(v, file) {
    framed(bytes(v.packet), [packets.SYN_ACK]);
    const { token, serverSymmetric } = packets.openSynAck(bytes(v.packet), bytes(v.ephemeral_key), createPrivateKey(file.keys.client));
    assert.equal(token.toString('hex'), v.token);
    assert.equal(serverSymmetric.toString('hex'), v.server_symmetric);
  },
  'open-message'(v) {
    assert.equal(received(bytes(v.packet), bytes(v.key), new packets.Seen(), v.limit), v.plaintext ?? '');
  },
  'open-rstor-ack'(v) {
    const packet = bytes(v.packet);
    framed(packet, [packets.RSTOR_ACK, packets.REQ_REHS]);
    if (packet[5] === packets.REQ_REHS) {
      return 'handshake-needed';
    }
    const mid = packets.derive(bytes(v.key), bytes(v.client_augment));
    assert.equal(packets.derive(mid, packets.unseal(mid, packet)).toString('hex'), v.new_key);
  },
  session(v) {
    const seen = new packets.Seen();
    for (const step of v.steps) {
      const result = resultOf(step, () => {
        if (!step.sent) {
          assert.equal(received(bytes(step.packet), bytes(v.key), seen, v.limit), step.plaintext ?? '');
        } else if (!seen.add(bytes(step.packet))) {
          throw new Failure('replay');
        }
      });
      assert.equal(result, step.expect);
    }
    return v.expect;
  },
};

for (const [name, least] of Object.entries({ keys: 10, frames: 50, handshake: 10, messages: 20, resumption: 5, replays: 2 })) {
  test(name, () => {
    const file = JSON.parse(readFileSync(join(folder, 'v1', `${name}.json`), 'utf8'));
    let count = 0;
    for (const v of file.tests) {
      const operation = operations[v.operation];
      if (operation && v.side !== 'server' && !v.state?.startsWith('server')) {
        count++;
        assert.equal(resultOf(v, () => operation(v, file)), v.expect ?? 'ok', v.name);
      }
    }
    assert.ok(count > least, `${count} vectors`);
  });
}

test('a private key is refused', () => {
  const file = JSON.parse(readFileSync(join(folder, 'v1-flow.json'), 'utf8'));
  const [publicKey, privateKey] = [file.server_public_key_pem, file.server_private_key_pem];
  new ServerKey(publicKey);
  for (const pem of [privateKey, privateKey + publicKey, publicKey + privateKey]) {
    assert.throws(() => new ServerKey(pem), { name: 'TypeError', message: /private key/ });
  }
});
