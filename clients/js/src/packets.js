// The packets of Megaki v1. Integers are big-endian.
//
//   SYN       head (6), hash (32), two RSA blocks (256 each)
//   SYN-ACK   head, MAC (32), token (16), RSA block
//   ACK       head, MAC, token, IV (16), ciphertext (48)
//   MSG, MSG-RSTOR, MSG-RSTOR-ACK
//             head, length (4), token, MAC, IV, ciphertext
//   ACK-ACK, REQ-REHS
//             head: magic (5) and type

import { createCipheriv, createDecipheriv, createHash, createHmac, privateDecrypt, randomBytes, timingSafeEqual } from 'node:crypto';
import * as errors from './errors.js';
import { oaep, pack } from './keys.js';

export const [SYN, SYN_ACK, ACK, MSG, RSTOR, RSTOR_ACK, REQ_REHS, ACK_ACK] = [1, 2, 3, 4, 5, 6, 7, 8];
export const LIMIT = 1 << 20; // bytes of a message or a response

const MAGIC = Buffer.from('MGK\xaa\xca', 'latin1');
const VERSION = Buffer.from([0x0a, 0xff]);
const MSG_HEAD = 74;
const SIZES = { [SYN_ACK]: 310, [ACK_ACK]: 6, [REQ_REHS]: 6 };
const ERROR_MARK = Buffer.alloc(16, 0xee);

function head(type) {
  return Buffer.concat([MAGIC, Buffer.from([type])]);
}

function padded(length) {
  return Math.ceil(length / 16) * 16;
}

/**
 * Returns the size of the packet that begins so, or 0 if it takes more bytes to know. The
 * packet is one of the types that are due. Nothing but the header is believed.
 */
export function frameSize(beginning, due, limit = LIMIT) {
  const n = Math.min(beginning.length, 5);
  if (!beginning.subarray(0, n).equals(MAGIC.subarray(0, n))) {
    throw new errors.ProtocolError('a packet without the magic: this is no Megaki server');
  }
  if (beginning.length < 6) {
    return 0;
  }
  const type = beginning[5];
  if (!due.includes(type)) {
    throw new errors.ProtocolError(`a packet of type ${type}, which isn't due`);
  }
  if (type in SIZES) {
    return SIZES[type];
  }
  if (beginning.length < 10) {
    return 0;
  }
  const length = beginning.readUInt32BE(6);
  if (type === RSTOR_ACK && length < 32) {
    throw new errors.ProtocolError(`a MSG-RSTOR-ACK of length ${length}, which always is 32`);
  }
  const most = type === RSTOR_ACK ? 32 : limit;
  if (length > most) {
    throw new errors.ResponseTooLong(`a response of ${length} bytes, over the limit of ${most}`);
  }
  return MSG_HEAD + padded(length);
}

/** Mixes two keys: NOT a XOR b. */
export function derive(a, b) {
  return Buffer.from(a.map((x, i) => ~x ^ b[i]));
}

function mac(key, data) {
  return createHmac('sha256', key).update(data).digest();
}

function encrypt(key, iv, plain) {
  const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

export function sealSyn(server, own, ephemeral) {
  const plain = Buffer.concat([pack(own), ephemeral, VERSION]);
  const folded = Buffer.from(plain.subarray(214).map((x, i) => x ^ plain[i]));
  const hash = createHash('sha256').update(plain).digest();
  return Buffer.concat([head(SYN), hash, server.encrypt(plain.subarray(0, 214)), server.encrypt(folded)]);
}

/** Returns token and server_symmetric. Nothing is believed before the MAC. */
export function openSynAck(p, ephemeral, own) {
  if (!timingSafeEqual(p.subarray(6, 38), mac(ephemeral, p.subarray(54)))) {
    throw new errors.ProtocolError("a SYN-ACK with a wrong MAC: the server doesn't have the pinned key, or someone changed the packet");
  }
  let secret = Buffer.alloc(0);
  try {
    secret = privateDecrypt(oaep(own), p.subarray(54));
  } catch {
    // It is refused below.
  }
  if (secret.length !== 48) {
    throw new errors.ProtocolError("a SYN-ACK that isn't encrypted to the client's key");
  }
  const [outer, inner] = [p.subarray(38, 54), secret.subarray(0, 16)];
  // The reference's server marks the inner token, its client looks at the outer one.
  if (inner.equals(ERROR_MARK)) {
    throw refusal(secret.subarray(16));
  }
  if (outer.equals(ERROR_MARK)) {
    throw refusal(inner);
  }
  if (!timingSafeEqual(outer, inner)) {
    throw new errors.ProtocolError('a SYN-ACK with two tokens: someone changed the packet');
  }
  return { token: inner, serverSymmetric: secret.subarray(16) };
}

function refusal(code) {
  const hex = code.toString('hex', 0, 2);
  const error = {
    '0100': () => new errors.IncompatibleVersions('the server speaks another version of the protocol'),
    '0200': () => new errors.ServiceUnavailable('the server takes no new sessions now'),
    '03ff': () => new errors.ServerBlacklisted("the server's key must not be used any more"),
  }[hex];
  return Object.assign(error ? error() : new errors.Refused('the server refuses the handshake with an unknown code'), { refusal: hex });
}

export function sealAck(token, serverSymmetric, clientSymmetric, ephemeral) {
  const iv = randomBytes(16);
  const signed = Buffer.concat([iv, encrypt(serverSymmetric, iv, Buffer.concat([token, clientSymmetric]))]);
  return Buffer.concat([head(ACK), mac(ephemeral, signed), token, signed]);
}

/** Makes a MSG, or a packet of its form. Random bytes pad it. */
export function seal(type, key, token, plain) {
  const iv = randomBytes(16);
  const filled = Buffer.concat([plain, randomBytes(padded(plain.length) - plain.length)]);
  const signed = Buffer.concat([iv, encrypt(key, iv, filled)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(plain.length);
  return Buffer.concat([head(type), length, token, mac(key, signed), signed]);
}

/** Checks a whole MSG, or a packet of its form, and returns the plaintext. */
export function unseal(key, p) {
  if (!timingSafeEqual(p.subarray(26, 58), mac(key, p.subarray(58)))) {
    throw new errors.ProtocolError('a packet with a wrong MAC');
  }
  const decipher = createDecipheriv('aes-256-cbc', key, p.subarray(58, 74)).setAutoPadding(false);
  return Buffer.concat([decipher.update(p.subarray(MSG_HEAD)), decipher.final()]).subarray(0, p.readUInt32BE(6));
}

/** The MACs under a key, received and sent. No packet is accepted twice, nor a reflected one. */
export class Seen {
  #prefixes = new Set();

  /** Adds a packet of the form of a MSG. It returns false if it was there. */
  add(packet) {
    const prefix = packet.toString('latin1', 26, 34);
    if (this.#prefixes.has(prefix)) {
      return false;
    }
    this.#prefixes.add(prefix);
    return true;
  }
}
