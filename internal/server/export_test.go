package server

// Guard is guard, for tests.
var Guard = guard
