// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease_test

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	coordination "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// fakeLeases is the part of an API server that an election uses: it sets creation times, and refuses updates of an old
// version. client-go's own fake does neither.
type fakeLeases struct {
	fake.Clientset

	mu       sync.Mutex
	objects  map[string]*coordination.Lease
	revision int
	// failure may answer in place of the server.
	failure func(clienttesting.Action) error
}

func newFakeLeases() *fakeLeases {
	l := &fakeLeases{objects: map[string]*coordination.Lease{}}
	l.AddReactor("*", "leases", l.react)
	return l
}

var resource = coordination.Resource("leases")

// react handles the requests of client-go's fake client.
func (l *fakeLeases) react(action clienttesting.Action) (handled bool, result runtime.Object, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		if err := l.failure(action); err != nil {
			return true, nil, err
		}
	}
	var lease *coordination.Lease
	switch action := action.(type) {
	case clienttesting.GetActionImpl:
		lease, err = l.get(action.Name)
	case clienttesting.CreateActionImpl:
		lease, err = l.create(action.Object.(*coordination.Lease).DeepCopy())
	case clienttesting.UpdateActionImpl:
		lease, err = l.update(action.Object.(*coordination.Lease).DeepCopy())
	default:
		err = fmt.Errorf("the role does not allow %s", action.GetVerb())
	}
	return true, lease.DeepCopy(), err
}

// get returns a Lease, or a NotFound error.
func (l *fakeLeases) get(name string) (*coordination.Lease, error) {
	if lease := l.objects[name]; lease != nil {
		return lease, nil
	}
	return nil, apierrors.NewNotFound(resource, name)
}

// create stores a new Lease with its creation time.
func (l *fakeLeases) create(lease *coordination.Lease) (*coordination.Lease, error) {
	if l.objects[lease.Name] != nil {
		return nil, apierrors.NewAlreadyExists(resource, lease.Name)
	}
	lease.CreationTimestamp = meta.NewTime(time.Now().Truncate(time.Second))
	return l.store(lease), nil
}

// update stores a Lease, or returns a Conflict error when it is not of the newest version.
func (l *fakeLeases) update(lease *coordination.Lease) (*coordination.Lease, error) {
	old, err := l.get(lease.Name)
	if err != nil {
		return nil, err
	}
	if old.ResourceVersion != lease.ResourceVersion {
		return nil, apierrors.NewConflict(resource, lease.Name, nil)
	}
	return l.store(lease), nil
}

// store stores a Lease under a new version.
func (l *fakeLeases) store(lease *coordination.Lease) *coordination.Lease {
	l.revision++
	lease.ResourceVersion = strconv.Itoa(l.revision)
	l.objects[lease.Name] = lease
	return lease
}

// remove deletes a Lease, as an operator may.
func (l *fakeLeases) remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.objects, name)
}

// setHolder makes another identity the holder of the Lease.
func (l *fakeLeases) setHolder(identity string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.objects[leaseName].DeepCopy()
	lease.Spec.HolderIdentity = &identity
	*lease.Spec.LeaseTransitions++
	l.store(lease)
}

func leaseHolder(lease runtime.Object) string {
	return *lease.(*coordination.Lease).Spec.HolderIdentity
}

// setFailure makes the server refuse the requests for which refuse returns an error; nil ends that.
func (l *fakeLeases) setFailure(refuse func(clienttesting.Action) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = refuse
}

// always returns a function that refuses every request with an error.
func always(err error) func(clienttesting.Action) error {
	return func(clienttesting.Action) error { return err }
}
