<?php
// Requests that change what belongs to the process: the path names the change.

use arca\Request;

// Not all of PHP is installed everywhere.
$has = array_combine($names = ['intl', 'mbstring', 'simplexml', 'gettext'], array_map(extension_loaded(...), $names));

// What a script sets for all its requests.
if (getenv('OWN')) {
    ini_set('precision', '10');
    ini_set('user_agent', 'own');
    error_reporting(E_ALL & ~E_USER_NOTICE);
    set_error_handler(fn () => false);
    set_exception_handler('var_dump');
    putenv('OWN=2');
    setlocale(LC_ALL, 'C.UTF-8');
    setlocale(LC_NUMERIC, 'C');
    date_default_timezone_set('Europe/Berlin');
    umask(027);
    chdir('/proc');
    stream_context_set_default(['http' => ['user_agent' => 'own']]);
    stream_wrapper_unregister('data');
    pcntl_async_signals(true);
    pcntl_signal(SIGUSR1, fn () => null);
    pcntl_sigprocmask(SIG_BLOCK, [SIGHUP]);
    if ($has['simplexml']) { libxml_use_internal_errors(true); libxml_set_external_entity_loader(fn () => null); }
    if ($has['mbstring']) { mb_internal_encoding('EUC-JP'); mb_language('Korean'); mb_substitute_character(0x2020); mb_http_output('EUC-JP'); mb_detect_order('EUC-JP,UTF-8'); mb_regex_encoding('EUC-JP'); mb_regex_set_options('ix'); }
    if ($has['gettext']) { textdomain('own'); }
    if ($has['intl']) { Locale::setDefault('fr_FR'); }
}

$changes = [
    'none' => fn () => null,
    'time limit' => fn () => set_time_limit(7),
    'user abort' => fn () => ignore_user_abort(true),
    'alarm' => fn () => pcntl_alarm(100),
    'signal handler' => function () { pcntl_async_signals(true); pcntl_signal(SIGUSR1, fn () => null); pcntl_signal(SIGALRM, SIG_IGN); },
    'signal mask' => fn () => pcntl_sigprocmask(SIG_BLOCK, [SIGUSR2]),
    'setting' => function () { ini_set('precision', '3'); ini_set('default_charset', 'latin1'); ini_set('memory_limit', '1G'); ini_set('user_agent', 'x'); },
    'error level' => fn () => error_reporting(0),
    'collector' => fn () => gc_disable(),
    'include path' => fn () => set_include_path('/nonexistent'),
    'locale' => fn () => setlocale(LC_ALL, 'C.UTF-8'),
    'one locale' => fn () => setlocale(LC_CTYPE, 'C.UTF-8'),
    'timezone' => fn () => date_default_timezone_set('Asia/Tokyo'),
    'timezone setting' => fn () => ini_set('date.timezone', 'Asia/Tokyo'),
    'umask' => fn () => umask(0777),
    'folder' => fn () => chdir('/'),
    'environment' => function () { putenv('ADDED=1'); putenv('PATH=/nonexistent'); putenv('HOME'); },
    'error handler' => fn () => set_error_handler(fn () => true),
    'no error handler' => function () { restore_error_handler(); restore_error_handler(); },
    'no exception handler' => function () { restore_exception_handler(); restore_exception_handler(); },
    'exception handler' => fn () => set_exception_handler(fn () => null),
    'output buffers' => function () { ob_start(); ob_start(fn ($s) => strrev($s)); echo 'printed'; },
    'libxml errors' => function () use ($has) { if (!$has['simplexml']) { return; } libxml_use_internal_errors(true); simplexml_load_string('<a'); },
    'libxml loader' => fn () => $has['simplexml'] && libxml_set_external_entity_loader(fn () => null),
    'mb' => function () use ($has) { if (!$has['mbstring']) { return; } mb_internal_encoding('latin1'); mb_language('ja'); mb_substitute_character(0x3013); mb_http_output('SJIS'); mb_detect_order('SJIS'); mb_regex_encoding('SJIS'); mb_regex_set_options('m'); },
    'textdomain' => fn () => $has['gettext'] && textdomain('other'),
    'wrappers' => fn () => stream_wrapper_unregister('http'),
    'intl' => fn () => $has['intl'] && Locale::setDefault('de_DE'),
    'peak of memory' => fn () => strlen(str_repeat('x', 20_000_000)),
    'strtok' => fn () => strtok('a secret token', ' '),
    'last error' => fn () => @trigger_error('silenced'),
    'superglobals' => function () { $_GET['a'] = $_POST['b'] = $_SERVER['c'] = $_ENV['d'] = $_COOKIE['e'] = $_FILES['f'] = $_REQUEST['g'] = 'x'; },
    'session' => function () { session_save_path(sys_get_temp_dir()); session_name('other'); session_start(); $_SESSION['x'] = 1; },
    'status' => fn () => http_response_code(404),
    'exception' => function () { date_default_timezone_set('Asia/Tokyo'); ini_set('precision', '3'); throw new Exception('after a change'); },
    // What can't be put back.
    'stream context' => fn () => stream_context_set_default(['http' => ['header' => 'X-Secret: 1']]),
    'notification' => fn () => stream_context_set_params(stream_context_get_default(), ['notification' => fn () => null]),
    'endless buffer' => fn () => ob_start(null, 0, 0),
    'bad buffer' => function () { try { ob_start(fn () => throw new Exception('in the callback')); echo 'x'; ob_end_flush(); } catch (Exception) { } },
    'open_basedir' => fn () => ini_set('open_basedir', getcwd() . ':' . sys_get_temp_dir() . ':/proc'),
];

function state(): array
{
    $handlers = array_map(pcntl_signal_get_handler(...), range(1, 31));
    pcntl_sigprocmask(SIG_UNBLOCK, [SIGKILL], $mask);
    $error = set_error_handler(null);
    restore_error_handler();
    $exception = set_exception_handler(null);
    restore_exception_handler();
    return [
        'ini' => array_filter(ini_get_all(null, false), fn ($name) => $name !== 'date.timezone', ARRAY_FILTER_USE_KEY), // once set, the timezone counts
        'alarm' => pcntl_alarm(0),
        'handlers' => array_map(fn ($h) => is_object($h) ? spl_object_id($h) : $h, $handlers),
        'async' => pcntl_async_signals(),
        'mask' => $mask,
        'locale' => setlocale(LC_ALL, 0),
        'timezone' => date_default_timezone_get(),
        'umask' => umask(),
        'folder' => getcwd(),
        'environment' => (function () { $all = getenv(); ksort($all); return $all; })(),
        'error handler' => $error === null ? null : spl_object_id($error),
        'exception handler' => $exception,
        'level' => [ob_get_level(), count(ob_list_handlers())],
        'libxml' => !extension_loaded('simplexml') ? null : [libxml_use_internal_errors(), libxml_get_errors(), function_exists('libxml_get_external_entity_loader') ? libxml_get_external_entity_loader() : null],
        'mb' => !extension_loaded('mbstring') ? null : [mb_internal_encoding(), mb_language(), mb_substitute_character(), mb_http_output(), mb_detect_order(), mb_regex_encoding(), mb_regex_set_options()],
        'textdomain' => extension_loaded('gettext') ? textdomain(null) : null,
        'wrappers' => array_diff(['http', 'file', 'php', 'data'], stream_get_wrappers()),
        'context' => stream_context_get_params(stream_context_get_default()),
        'intl' => extension_loaded('intl') ? Locale::getDefault() : null,
        'peak of memory' => function_exists('memory_reset_peak_usage') && memory_get_peak_usage() > 10_000_000,
        'strtok' => strtok(' '),
        'last error' => error_get_last(),
        'globals' => [$_GET, $_POST, $_COOKIE, $_FILES, $_REQUEST, $_SERVER['c'] ?? null, $_ENV, isset($_SESSION)],
        'session' => [session_name(), session_id(), session_status()],
        'status' => http_response_code() ?: 200, // there is none before the first request
    ];
}

$text = fn () => json_encode(state(), JSON_THROW_ON_ERROR | JSON_PARTIAL_OUTPUT_ON_ERROR);
$first = $text();

$run = function (string $what) use ($changes, $text, $first) {
    switch ($what) {
        case 'state': return $text();
        case 'first': return $first;
        case 'pid': return (string) getmypid();
        case 'seed': mt_srand(42); return (string) mt_rand();
        case 'size': return (string) filesize(getenv('FILE'));
        case 'random': return (string) mt_rand();
    }
    $changes[$what]();
    return 'changed';
};

$ARCANGELO_USERSPACE = [
    'on_http' => fn (Request $r) => $run(rawurldecode(substr($r->path, 1))),
    'on_handle' => fn () => $run(arca::$request),
];
