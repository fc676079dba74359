// Package mls reads just enough of RFC 9420 to decide whether a KeyPackage is
// sound, and writes just enough to make one.
//
// The node hands out key packages for clients that are away. A client that
// claims a broken one can only fail, and by then its owner is not there to
// mend it; so the node checks at upload what every claimer would check later
// (RFC 9420, sections 7.3 and 10.1). [ParseKeyPackage] checks what holds for
// ever: encoding, keys, signatures. [KeyPackage.CheckLifetime] checks what
// depends on the clock. [KeyPackageTemplate] makes packages for tests and for
// the command line's demo.
//
// It is not for groups, proposals, welcomes or messages, which the node never
// opens; nor for what a credential says or whether capabilities are useful,
// which is between clients (section 5.3.1 gives that to the Authentication
// Service, section 7.3 to the members of the group).
//
// Promises: a KeyPackage has one accepted encoding, so that a hash of
// [KeyPackage.Bare] names it; bytes from the wire never cause a panic, nor work
// beyond linear time; every refusal is an [*Error] that names the field at
// fault and is safe to show to the client. Mind that signatures are part of a
// KeyPackage: its owner can sign the same contents again, and of an ECDSA
// signature anybody can make a second one (s becomes n-s), for another hash.
package mls
