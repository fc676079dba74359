package nodeservice

// HandoutPatience is how long what was handed out is withheld.
const HandoutPatience = handoutPatience

// LimitHandouts bounds what a consumer may hold, before it is given anything.
func (s *Service) LimitHandouts(most int) { s.handouts.most = most }

// HandedQueues counts the queues of which something is handed out, or remembered.
func (s *Service) HandedQueues() int {
	s.handouts.mu.Lock()
	defer s.handouts.mu.Unlock()
	return len(s.handouts.queues)
}
