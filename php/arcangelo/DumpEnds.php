<?php

declare(strict_types=1);

namespace arca;

/**
 * Ends a handler that has called dd().
 *
 * @internal
 */
final class DumpEnds extends \Error
{
    public function __construct()
    {
        parent::__construct('dd() has ended the request');
    }
}
