<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The server took too long. */
final class Timeout extends ConnectionFailed
{
    protected const NUMBER = 8;
}
