package nodeservice


// MaxHandouts and HandoutPatience are the bounds of what is handed out.
const (
	MaxHandouts     = maxHandouts
	HandoutPatience = handoutPatience
)

// HandedQueues counts the queues of which something is handed out, or remembered.
func (s *Service) HandedQueues() int {
	s.handouts.mu.Lock()
	defer s.handouts.mu.Unlock()
	return len(s.handouts.queues)
}

