import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ConnectionFailed, MegakiError, ProtocolError, Timeout } from './errors.js';
import * as packets from './packets.js';
import { Received } from './received.js';

/** One connection, with a session on it. After any failure it can't be used any more. */
export class Connection {
  #socket;
  #received = new Received();
  #failure = null;
  #wake = () => {};
  #reading = false;
  #token;
  #key;
  #seen;
  roundTrips = 0;

  constructor(host, port) {
    this.#socket = connect({ host, port, noDelay: true, autoSelectFamily: true }); // all addresses of the host: Node.js 18 would try one
    this.#socket.on('connect', () => this.#wake());
    this.#socket.on('data', (chunk) => {
      if (!this.#reading) {
        this.close(new ProtocolError('the server sent something out of turn'));
        return;
      }
      this.#received.add(chunk);
      this.#wake();
    });
    this.#socket.on('end', () => this.close(new ConnectionFailed('the server closed the connection')));
    this.#socket.on('error', (cause) => this.close(new ConnectionFailed(`the connection failed: ${cause.message}`, { cause })));
  }

  close(failure = new ConnectionFailed('the connection is closed')) {
    this.#failure ??= failure;
    this.#socket.destroy();
    this.#wake();
  }

  /** Token and master key: 48 bytes. */
  get session() {
    return Buffer.concat([this.#token, this.#key]);
  }

  /** Reports whether the server has neither closed the connection nor sent anything out of turn. */
  async usable() {
    await nextTurn(); // what has arrived is noticed
    await nextTurn();
    return this.#failure === null && this.#received.size === 0;
  }

  /** Runs work, which has so many milliseconds. Its failure, or a signal, closes the connection. */
  async within(millis, signal, work) {
    const timer = setTimeout(() => this.close(new Timeout('the server took too long')), millis);
    const abort = () => this.close(signal.reason);
    signal?.addEventListener('abort', abort);
    this.#reading = true;
    try {
      if (signal?.aborted) {
        throw signal.reason;
      }
      return await work();
    } catch (error) {
      this.close(error);
      throw this.#failure; // the first
    } finally {
      this.#reading = false;
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  async connected() {
    while (this.#failure === null && this.#socket.connecting) {
      await this.#change();
    }
    this.#check();
  }

  /** Makes a new session. */
  async handshake(server, own) {
    const [ephemeral, clientSymmetric] = [randomBytes(32), randomBytes(32)];
    this.#socket.write(packets.sealSyn(server, own.publicKey, ephemeral));
    const { token, serverSymmetric } = packets.openSynAck(await this.#read(packets.SYN_ACK), ephemeral, own.privateKey);
    this.#socket.write(packets.sealAck(token, serverSymmetric, clientSymmetric, ephemeral));
    await this.#read(packets.ACK_ACK);
    await this.#begin(token, packets.derive(serverSymmetric, clientSymmetric));
  }

  /** Resumes a session. It returns false if the server asks for a handshake on this connection. */
  async resume(session) {
    const [token, key, augment] = [session.subarray(0, 16), session.subarray(16), randomBytes(32)];
    this.#socket.write(packets.seal(packets.RSTOR, key, token, augment));
    const response = await this.#read(packets.RSTOR_ACK, packets.REQ_REHS);
    if (response[5] === packets.REQ_REHS) {
      return false;
    }
    const mid = packets.derive(key, augment);
    await this.#begin(token, packets.derive(mid, packets.unseal(mid, response)));
    return true;
  }

  /** Sends a message and returns the response. */
  async send(message) {
    this.roundTrips++;
    const packet = packets.seal(packets.MSG, this.#key, this.#token, message);
    this.#seen.add(packet);
    try {
      this.#check();
      this.#socket.write(packet);
      const response = await this.#read(packets.MSG);
      const plain = packets.unseal(this.#key, response);
      if (!this.#seen.add(response)) {
        throw new ProtocolError('a packet that was sent before, in the place of the response');
      }
      return plain;
    } catch (error) {
      if (error instanceof MegakiError) {
        error.mayHaveArrived = true;
      }
      throw error;
    }
  }

  async #begin(token, key) {
    [this.#token, this.#key, this.#seen, this.roundTrips] = [token, key, new packets.Seen(), 0];
    if (!(await this.usable())) {
      throw this.#failure ?? new ProtocolError('the server sent something out of turn');
    }
  }

  #check() {
    if (this.#failure) {
      throw this.#failure;
    }
  }

  /** Waits until something has come, or the connection has failed. */
  #change() {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Reads a packet of one of the types. It is judged as soon as its header is there. */
  async #read(...due) {
    for (let size = 0; ; await this.#change()) {
      if (size === 0 && this.#received.size > 0) {
        size = packets.frameSize(this.#received.peek(), due);
      }
      if (size > 0 && this.#received.size > size) {
        throw new ProtocolError('bytes after a packet, out of turn');
      }
      if (size > 0 && this.#received.size === size) {
        return this.#received.take();
      }
      this.#check();
    }
  }
}
