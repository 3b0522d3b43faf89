const MAX_PIECES = 1024;

/**
 * What was received and isn't used yet. Small pieces are joined: each takes some hundred
 * bytes of memory, and a server may send a response byte by byte.
 */
export class Received {
  #pieces = [];
  size = 0;

  get pieces() {
    return this.#pieces.length;
  }

  add(piece) {
    this.#pieces.push(piece);
    this.size += piece.length;
    if (this.#pieces.length >= MAX_PIECES) {
      this.peek();
    }
  }

  /** Returns all of it. */
  peek() {
    this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0];
  }

  /** Returns all of it, and forgets it. */
  take() {
    const all = this.peek();
    [this.#pieces, this.size] = [[], 0];
    return all;
  }
}
