package identity

// Remembered returns how many tokens the verifier remembers.
func (v *Verifier) Remembered() int { return v.remembered.Len() }

// LoseKeys leaves the verifier with its memory alone.
func (v *Verifier) LoseKeys() { v.cfg.Keys = &SigningKeys{} }
