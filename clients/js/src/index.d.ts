/** A client of Megaki, an encrypted request/response protocol over TCP. */

export interface ClientOptions {
  host: string;
  port: number;
  /** The server's public key, which the program ships with. */
  key: ServerKey;
  /** A session of 48 bytes to resume. */
  session?: Uint8Array | null;
  /** A file to keep the session in, and to resume it from. It is a secret. */
  sessionFile?: string;
  /** The Host of requests. Default: host and port of the server. */
  hostHeader?: string;
  /** Milliseconds to connect. Default: 10,000. */
  connectTimeout?: number;
  /** Milliseconds for a handshake or a resumption. Default: 15,000. */
  handshakeTimeout?: number;
  /** Milliseconds for a message with its response. Default: 60,000. */
  messageTimeout?: number;
  /** Messages under one key, for each of which some bytes are remembered. Default: 16,384. */
  maxMessagesPerKey?: number;
}

/**
 * A client of one server. It connects when there is something to send, resumes the
 * session when the server has closed the connection, and does a handshake when the server
 * has forgotten the session. A message that the server may have handled is never sent
 * twice. Messages go one after the other.
 */
export class Client {
  constructor(options: ClientOptions);
  /** The session's 48 bytes, to resume it later; null if there is none yet. They are a secret. */
  readonly session: Uint8Array | null;
  /** Sends a message of 1 byte to 1 MiB, and returns the response, which may be empty. */
  send(message: string | Uint8Array, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  /** Sends an HTTP request in a message, in the manner of fetch. Request and response have at most 1 MiB each. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Closes the connection after the messages in flight. The client can be used again. */
  close(): Promise<void>;
}

/** The server's public key: PEM, or the 260 bytes of modulus and exponent. */
export class ServerKey {
  constructor(data: string | Uint8Array);
  /** Reads a key from a file, such as server.key.pub. */
  static read(path: string): ServerKey;
  /** Returns modulus and exponent, 260 bytes. */
  toBytes(): Uint8Array;
}

/** A failure of a connection to a server of Megaki. */
export class MegakiError extends Error {
  /** The number that libsazukari has for the failure. */
  readonly code: number;
  /** Whether the server may have handled the message. If not, it can be sent again without harm. */
  mayHaveArrived: boolean;
}
/** The connection failed, was closed, or took too long. */
export class ConnectionFailed extends MegakiError {}
/** The server took too long. */
export class Timeout extends ConnectionFailed {}
/** The server sent something that the protocol doesn't allow, or isn't the pinned one. */
export class ProtocolError extends MegakiError {}
/** The server refused the handshake. Nothing authenticates that: someone on the path can forge it. */
export class Refused extends MegakiError {}
/** The server speaks another version of the protocol. */
export class IncompatibleVersions extends Refused {}
/** The server takes no new sessions now. */
export class ServiceUnavailable extends Refused {}
/** The server's key must not be used any more. */
export class ServerBlacklisted extends Refused {}
/** The message is over 1 MiB. Nothing was sent. */
export class MessageTooLong extends MegakiError {}
/** The response is over 1 MiB. */
export class ResponseTooLong extends MegakiError {}
