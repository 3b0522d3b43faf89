<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The server refused the handshake. Nothing authenticates that: someone on the path can forge it. */
class Refused extends MegakiException
{
    protected const NUMBER = 4;
}
