package gateway

import "github.com/go-chi/chi/v5"

// Routes are the door's, for a test that holds them against the document.
func (g *Gateway) Routes() chi.Routes { return g.router }
