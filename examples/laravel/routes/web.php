<?php

// Pages with a session, and a login.

declare(strict_types=1);

use App\Note;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Route;

Route::get('/visits', function (Request $request) {
    $request->session()->put('visits', $visits = $request->session()->get('visits', 0) + 1);
    return "visit $visits\n";
});

Route::view('/login', 'login')->name('login');

Route::post('/login', function (Request $request) {
    $credentials = $request->validate(['name' => 'required', 'password' => 'required']);
    if (!Auth::attempt($credentials)) {
        return back()->withErrors(['name' => 'This is not the password.'])->withInput();
    }
    $request->session()->regenerate();
    return redirect()->intended('/me');
});

Route::middleware('auth')->group(function (): void {
    Route::get('/me', fn (Request $request) => ['user' => $request->user()->id, 'auth' => Auth::id(), 'session' => $request->session()->get('visits', 0)]);

    // The notes of a user, in a database.
    Route::match(['GET', 'POST'], '/notes', function (Request $request) {
        DB::statement('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL)');
        if ($request->isMethod('POST')) {
            Note::create(['text' => $request->input('text', '')]);
        }
        return Note::where('author', Auth::id())->pluck('text');
    });
});
