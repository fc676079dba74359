package storetest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestModel(t *testing.T) { storetest.Run(t, modelEngine) }

var modelEngine = storetest.Engine{
	Name: "model",
	Open: func(storetest.TB) storetest.Opened {
		s := model.New()
		return storetest.Opened{Store: s, Crash: func(storetest.TB) nodeservice.Store {
			s = s.Reopen()
			return s
		}}
	},
}
