/**
 * A client of Megaki in plain Java: no native code, and nothing that JDK 8 or
 * Android's API 21 lacks.
 */
package dev.megaki;
