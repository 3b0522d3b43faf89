<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The server speaks another version of the protocol. */
final class IncompatibleVersions extends Refused
{
    protected const NUMBER = 2;
}
