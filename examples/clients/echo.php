<?php

$ARCANGELO_USERSPACE = ['on_handle' => fn (): string => arca::$request];
