<?php

declare(strict_types=1);

namespace Megaki;

/**
 * The MACs under a key, received and sent. No packet is accepted twice, nor a reflected one.
 *
 * @internal
 */
final class Seen
{
    /** @var array<string, true> */
    private array $prefixes = [];

    /** Adds a packet of the form of a MSG. It returns false if it was there. */
    public function add(string $packet): bool
    {
        $prefix = 'x' . substr($packet, 26, 8); // never a number
        if (isset($this->prefixes[$prefix])) {
            return false;
        }
        return $this->prefixes[$prefix] = true;
    }
}
