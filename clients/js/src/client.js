import { generateKeyPair, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Connection } from './connection.js';
import { MessageTooLong } from './errors.js';
import { readResponse, writeRequest } from './http.js';
import { LIMIT } from './packets.js';

const MAX_FAILED_RESUMES = 3;
const newKey = promisify(generateKeyPair);

/**
 * A client of one server. It connects when there is something to send, resumes the
 * session when the server has closed the connection, and does a handshake when the server
 * has forgotten the session. A message that the server may have handled is never sent
 * twice. Messages go one after the other.
 */
export class Client {
  #options;
  #session = null;
  #ownKey = null;
  #connection = null;
  #failedResumes = 0;
  #turn = Promise.resolve();

  constructor(options) {
    this.#options = {
      hostHeader: options.host.includes(':') ? `[${options.host}]:${options.port}` : `${options.host}:${options.port}`,
      connectTimeout: 10_000,
      handshakeTimeout: 15_000,
      messageTimeout: 60_000,
      maxMessagesPerKey: 16_384,
      ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    };
    const { session, sessionFile } = this.#options;
    if (session) {
      this.#session = Buffer.from(session);
    } else if (sessionFile && existsSync(sessionFile)) {
      const saved = readFileSync(sessionFile);
      this.#session = saved.length > 0 ? saved : null;
    }
    if (this.#session && this.#session.length !== 48) {
      throw new TypeError(`a session has 48 bytes, not ${this.#session.length}`);
    }
  }

  /** The session's 48 bytes, to resume it later; null if there is none yet. They are a secret. */
  get session() {
    return this.#session && Buffer.from(this.#session);
  }

  /** Sends a message of 1 byte to 1 MiB, and returns the response, which may be empty. */
  async send(message, { signal } = {}) {
    const bytes = Buffer.from(message);
    if (bytes.length === 0) {
      throw new TypeError('a message has at least one byte');
    }
    if (bytes.length > LIMIT) {
      throw new MessageTooLong(`a message of ${bytes.length} bytes, over the limit of ${LIMIT}`);
    }
    const sent = this.#inTurn(async () => {
      signal?.throwIfAborted();
      const connection = await this.#usable(signal);
      try {
        return await connection.within(this.#options.messageTimeout, signal, () => connection.send(bytes));
      } catch (error) {
        this.#connection = null;
        throw error;
      }
    });
    return signal ? unlessAborted(sent, signal) : sent;
  }

  /** Sends an HTTP request in a message, in the manner of fetch. Request and response have at most 1 MiB each. */
  async request(path, init = {}) {
    const { method, message } = await writeRequest(path, init, this.#options.hostHeader);
    return readResponse(await this.send(message, { signal: init.signal }), method);
  }

  /** Closes the connection after the messages in flight. The client can be used again. */
  async close() {
    await this.#inTurn(async () => this.#drop());
  }

  #inTurn(work) {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #drop() {
    this.#connection?.close();
    this.#connection = null;
  }

  async #usable(signal) {
    const c = this.#connection;
    if (c && (c.roundTrips >= this.#options.maxMessagesPerKey || !(await c.usable()))) {
      this.#drop();
    }
    this.#connection ??= await this.#connect(signal);
    return this.#connection;
  }

  async #connect(signal) {
    const { host, port, connectTimeout, handshakeTimeout } = this.#options;
    const c = new Connection(host, port);
    try {
      await c.within(connectTimeout, signal, () => c.connected());
      if (!(await this.#resume(c, signal))) {
        this.#ownKey ??= await newKey('rsa', { modulusLength: 2048, publicExponent: 65_537 });
        await c.within(handshakeTimeout, signal, () => c.handshake(this.#options.key, this.#ownKey));
        this.#failedResumes = 0;
      }
      await this.#save(c.session);
    } catch (error) {
      c.close();
      throw error;
    }
    return c;
  }

  async #resume(c, signal) {
    if (!this.#session || this.#failedResumes >= MAX_FAILED_RESUMES) {
      return false;
    }
    this.#failedResumes++;
    const resumed = await c.within(this.#options.handshakeTimeout, signal, () => c.resume(this.#session));
    this.#failedResumes = 0;
    return resumed;
  }

  async #save(session) {
    this.#session = session;
    const { sessionFile } = this.#options;
    if (!sessionFile) {
      return;
    }
    const fresh = `${sessionFile}.${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(fresh, session, { mode: 0o600, flag: 'wx' });
      await rename(fresh, sessionFile);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
  }
}

/** Returns what work does, unless the signal comes first: work may still wait for its turn. */
function unlessAborted(work, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort);
    if (signal.aborted) {
      abort();
    }
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
