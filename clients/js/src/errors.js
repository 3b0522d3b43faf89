// What can go wrong, by class.

/**
 * A failure of a connection to a server of Megaki. mayHaveArrived is true if the server
 * may have handled the message; if it is false, the message can be sent again without
 * harm. code is the number that libsazukari has for the failure.
 */
export class MegakiError extends Error {
  code = 1;
  mayHaveArrived = false;

  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The connection failed, was closed, or took too long. */
export class ConnectionFailed extends MegakiError {
  code = 8;
}

/** The server took too long. */
export class Timeout extends ConnectionFailed {}

/** The server sent something that the protocol doesn't allow, or isn't the pinned one. */
export class ProtocolError extends MegakiError {
  code = 6;
}

/** The server refused the handshake. Nothing authenticates that: someone on the path can forge it. */
export class Refused extends MegakiError {
  code = 4;
}

/** The server speaks another version of the protocol. */
export class IncompatibleVersions extends Refused {
  code = 2;
}

/** The server takes no new sessions now. */
export class ServiceUnavailable extends Refused {
  code = 3;
}

/** The server's key must not be used any more. */
export class ServerBlacklisted extends Refused {
  code = 10;
}

/** The message is over 1 MiB. Nothing was sent. */
export class MessageTooLong extends MegakiError {
  code = 11;
}

/** The response is over 1 MiB. */
export class ResponseTooLong extends MegakiError {
  code = 12;
}
