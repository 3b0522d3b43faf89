<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The server takes no new sessions now. */
final class ServiceUnavailable extends Refused
{
    protected const NUMBER = 3;
}
