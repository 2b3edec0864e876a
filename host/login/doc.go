// Package login keeps the keys that log in to a host: in a block of their own among the login user's, where
// sshd looks for them. Other lines stay as they are, but for those that the first boot or Admit has put there
// until the block is written.
package login
