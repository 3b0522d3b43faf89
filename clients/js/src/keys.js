import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The server's public key: PEM, or the 260 bytes of modulus and exponent. */
export class ServerKey {
  #key;
  #packed;

  constructor(data) {
    const bytes = Buffer.from(data);
    if (bytes.length === 260 && !bytes.toString('latin1').startsWith('-----BEGIN')) {
      this.#packed = bytes;
    } else {
      this.#packed = pack(readPem(bytes.toString('latin1')));
    }
    const modulus = this.#packed.subarray(0, 256);
    const exponent = this.#packed.readUInt32BE(256);
    if (modulus[0] < 0x80 || (modulus[255] & 1) === 0) {
      throw new TypeError("the key's modulus isn't an odd number of 2048 bits");
    }
    if (exponent < 3 || exponent > 0x7fffffff || (exponent & 1) === 0) {
      throw new TypeError("the key's exponent isn't an odd number from 3 to 2147483647");
    }
    this.#key = unpack(this.#packed);
  }

  /** Reads a key from a file, such as server.key.pub. */
  static read(path) {
    return new ServerKey(readFileSync(path));
  }

  /** Returns modulus and exponent, 260 bytes. */
  toBytes() {
    return Buffer.from(this.#packed);
  }

  encrypt(data) {
    return publicEncrypt(oaep(this.#key), data);
  }
}

export function oaep(key) {
  return { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };
}

function readPem(text) {
  // createPublicKey would take one.
  if (text.includes('PRIVATE KEY-----')) {
    throw new TypeError('there is a private key, which must not be in a client');
  }
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----/.test(text)) {
    throw new TypeError('neither a public key in PEM nor the 260 bytes of modulus and exponent');
  }
  let key;
  try {
    key = createPublicKey(text);
  } catch (cause) {
    throw new TypeError('the public key in PEM is malformed', { cause });
  }
  if (key.asymmetricKeyType !== 'rsa' || key.asymmetricKeyDetails.modulusLength !== 2048) {
    throw new TypeError("the key isn't an RSA key of 2048 bits");
  }
  return key;
}

/** Returns modulus and exponent of a key, 260 bytes. */
export function pack(key) {
  const { n, e } = key.export({ format: 'jwk' });
  const packed = Buffer.alloc(260);
  const exponent = Buffer.from(e, 'base64url');
  if (exponent.length > 4) {
    throw new TypeError("the key's exponent is too large");
  }
  Buffer.from(n, 'base64url').copy(packed);
  exponent.copy(packed, 260 - exponent.length);
  return packed;
}

function unpack(packed) {
  const exponent = packed.subarray(256);
  const first = exponent.findIndex((b) => b !== 0);
  const jwk = { kty: 'RSA', n: packed.toString('base64url', 0, 256), e: exponent.toString('base64url', first) };
  return createPublicKey({ key: jwk, format: 'jwk' });
}
