// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build kubernetes

package manifests

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/kubetest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
	"github.com/seed-358c4d9d/githubexporter/internal/tlstest"
)

// warnings collects the warnings of an API server.
type warnings struct {
	mu   sync.Mutex
	list []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

// cluster is a real API server, as an administrator uses it.
type cluster struct {
	*kubetest.Server
	t        *testing.T
	config   *rest.Config
	client   kubernetes.Interface
	dynamic  dynamic.Interface
	mapper   meta.RESTMapper
	warnings *warnings
}

// newCluster starts an API server with the custom resources of the Prometheus operator, and a namespace for releases
// that refuses pods which break the restricted standard.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Server: kubetest.Start(t), t: t, warnings: &warnings{}}
	c.config = &rest.Config{
		Host: c.URL, BearerToken: kubetest.AdminToken, QPS: -1, WarningHandler: c.warnings,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.Authority},
	}
	c.client = kubernetes.NewForConfigOrDie(c.config)
	c.dynamic = dynamic.NewForConfigOrDie(c.config)
	c.discover()
	for _, file := range definitions(t) {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(readFile(t, file)), &object.Object))
		require.NoError(t, c.apply(object, ""))
	}
	c.awaitResources("monitoring.coreos.com/v1", "podmonitors", "prometheusrules", "servicemonitors")
	c.discover()
	require.NoError(t, c.apply(loadOverlay(t, "prod").find("Namespace", ""), ""))
	require.NoError(t, c.apply(loadOverlay(t, "nonprod").find("Namespace", ""), ""))
	return c
}

// discover reads which resources the server has.
func (c *cluster) discover() {
	c.t.Helper()
	groups, err := restmapper.GetAPIGroupResources(c.client.Discovery())
	require.NoError(c.t, err)
	c.mapper = restmapper.NewDiscoveryRESTMapper(groups)
}

// awaitResources waits until the server serves resources.
func (c *cluster) awaitResources(groupVersion string, names ...string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		list, err := c.client.Discovery().ServerResourcesForGroupVersion(groupVersion)
		if err != nil {
			return false
		}
		var served []string
		for _, resource := range list.APIResources {
			served = append(served, resource.Name)
		}
		return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(served, name) })
	}, waitTimeout, tick, "%s is not served", groupVersion)
}

// apply applies an object on the server, with all admission; unknown fields are errors. With a dry run nothing is
// stored.
func (c *cluster) apply(object *unstructured.Unstructured, dryRun string) error {
	mapping, err := c.mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
	if err != nil {
		return err
	}
	resource := dynamic.ResourceInterface(c.dynamic.Resource(mapping.Resource))
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := object.GetNamespace()
		if namespace == "" {
			namespace = testNamespace
		}
		resource = c.dynamic.Resource(mapping.Resource).Namespace(namespace)
	}
	options := metav1.PatchOptions{FieldManager: "test", FieldValidation: metav1.FieldValidationStrict}
	if dryRun != "" {
		options.DryRun = []string{dryRun}
	}
	text, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = resource.Patch(c.t.Context(), object.GetName(), "application/apply-patch+yaml", text, options)
	return err
}

// TestApply applies every object of every source on a real API server, with its admission and without storing it, and
// has the server admit a pod of the Deployment under the restricted standard. The server warns of nothing.
func TestApply(t *testing.T) {
	c := newCluster(t)
	for _, s := range loadSources(t) {
		t.Run(s.name, func(t *testing.T) {
			for _, object := range s.objects {
				if foreignGroups[object.GroupVersionKind().Group] {
					continue
				}
				require.NoError(t, c.apply(object, metav1.DryRunAll), "%s %s", object.GetKind(), object.GetName())
			}
			c.admitPod(t, s)
			require.Empty(t, c.warnings.list)
		})
	}
	object := loadOverlay(t, "ha").find("Deployment", "")
	require.NoError(t, unstructured.SetNestedField(object.Object, "Always", "spec", "strategy", "type"))
	require.Error(t, c.apply(object, metav1.DryRunAll), "the server refuses nothing")
}

// admitPod has the server admit the pod that the controller of the Deployment would make, and refuse one as root.
func (c *cluster) admitPod(t *testing.T, s source) {
	t.Helper()
	account := s.find("ServiceAccount", "")
	require.NoError(t, c.apply(account, "")) // a pod is admitted only with an account that exists
	deployment := decode[apps.Deployment](t, s, "Deployment")
	namespace := deployment.Namespace
	if namespace == "" {
		namespace = testNamespace
	}
	template := deployment.Spec.Template
	made := &core.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "admitted", Labels: template.Labels}, Spec: template.Spec,
	}
	options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	_, err := c.client.CoreV1().Pods(namespace).Create(t.Context(), made, options)
	require.NoError(t, err)
	made.Spec.Containers[0].SecurityContext = nil
	_, err = c.client.CoreV1().Pods(namespace).Create(t.Context(), made, options)
	require.ErrorContains(t, err, "restricted")
}

// verbs are those of the authorization of resources.
var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// TestLeastPrivilege: with the permissions of the overlay `prod`, the service account may read, make and renew its
// Lease, and do nothing else anywhere that an account without permissions may not do too.
func TestLeastPrivilege(t *testing.T) {
	c := newCluster(t)
	for _, object := range loadOverlay(t, "prod").objects {
		require.NoError(t, c.apply(object, ""))
	}
	account := c.as("githubexporter")
	without := c.as("another")
	for verb, names := range map[string][]string{
		"get": {"githubexporter"}, "update": {"githubexporter"}, "create": {"", "githubexporter"},
	} {
		for _, name := range names {
			require.True(t, account.may(t, testNamespace, "coordination.k8s.io", "leases", name, verb), verb)
		}
	}
	checked := 0
	for _, list := range c.resources() {
		for _, resource := range list.APIResources {
			for _, verb := range verbs {
				for _, namespace := range []string{testNamespace, "default"} {
					checked++
					isLease := resource.Name == "leases" && verb == "create" && namespace == testNamespace
					allowed := account.may(t, namespace, resource.Group, resource.Name, "", verb)
					baseline := without.may(t, namespace, resource.Group, resource.Name, "", verb)
					require.Equal(t, baseline || isLease, allowed, "%s %s in %s", verb, resource.Name, namespace)
				}
			}
		}
	}
	require.Greater(t, checked, 500)
	for _, name := range []string{"other", "kube-scheduler"} {
		for _, verb := range []string{"get", "update", "patch", "delete"} {
			require.False(t, account.may(t, testNamespace, "coordination.k8s.io", "leases", name, verb))
		}
	}
	require.False(t, account.may(t, testNamespace, "coordination.k8s.io", "leases", "githubexporter", "delete"))
	require.False(t, account.may(t, "default", "coordination.k8s.io", "leases", "githubexporter", "get"))
}

// resources returns all resources of the server, with their groups.
func (c *cluster) resources() []*metav1.APIResourceList {
	c.t.Helper()
	lists, err := discovery.ServerPreferredResources(c.client.Discovery())
	require.NoError(c.t, err)
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(c.t, err)
		for i := range list.APIResources {
			list.APIResources[i].Group = version.Group
		}
	}
	return lists
}

// identity is a service account that asks what it may do.
type identity struct{ client kubernetes.Interface }

// as returns a service account of the namespace, by impersonation.
func (c *cluster) as(account string) identity {
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + testNamespace + ":" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + testNamespace, "system:authenticated"},
	}
	return identity{kubernetes.NewForConfigOrDie(config)}
}

// may asks the server whether the account may do something.
func (i identity) may(t *testing.T, namespace, group, resource, name, verb string) bool {
	t.Helper()
	review, err := i.client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(),
		&authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorization.ResourceAttributes{
				Namespace: namespace, Group: group, Resource: resource, Name: name, Verb: verb,
			},
		}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// TestReplicaLeads: a replica of the overlay `prod`, with the token of its service account, its Secrets and real
// servers, holds the Lease and is ready.
func TestReplicaLeads(t *testing.T) {
	c := newCluster(t)
	s := loadOverlay(t, "prod")
	for _, object := range s.objects {
		require.NoError(t, c.apply(object, ""))
	}
	data, err := githubtest.LoadDataset(os.DirFS(filepath.Join(deployDir, "..", "testdata", "open-telemetry")))
	require.NoError(t, err)
	github := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}})
	redis, rabbitmq := redistest.Start(t, "requirepass of-the-test"), rabbittest.Start(t)
	p := newPod(t, s, map[string]string{"github/token": githubtest.DefaultToken, "redis/password": "of-the-test"})
	p.env = append(p.env, "GITHUB_ORG=open-telemetry", "REDIS_ENDPOINT="+redis.Address,
		"RABBITMQ_ENDPOINT="+rabbitmq.URL())
	p.start(fmt.Sprintf(`
receivers: {githubexporter: {github: {endpoint: %q, tls: {insecure: true}}}}
extensions: {leader_elector: {kubernetes: {kubeconfig: %q}}}
`, github.URL, c.kubeconfig()))
	p.awaitReadiness(http.StatusOK)
	c.requireLeader()
}

// TestProductionLeads: a replica of the example `production`, with one App for both organizations, and Redis and
// RabbitMQ with TLS alone, holds the Lease and is ready. A line break at the end of a password does no harm.
func TestProductionLeads(t *testing.T) {
	c := newCluster(t)
	s := loadExample(t, "production")
	for _, object := range s.objects {
		require.NoError(t, c.apply(object, ""))
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	settings := githubtest.Settings{Apps: []githubtest.App{{ID: 7, ClientID: appClientID, PublicKey: &key.PublicKey}}}
	for i, name := range []string{"my-org", "other-org"} {
		data := &githubtest.Dataset{Org: githubtest.Org{Login: name}}
		settings.Datasets = append(settings.Datasets, data)
		settings.Apps[0].Installations = append(settings.Apps[0].Installations,
			githubtest.Installation{ID: int64(i + 1), Org: name})
	}
	github := githubtest.Start(t, settings)
	authority := tlstest.NewAuthority(t)
	_, redis := redistest.StartTLS(t, authority, "user gx on >of-the-test ~* &* +@all", "user default off")
	rabbitmq := rabbittest.StartTLS(t, authority)
	ca := readFile(t, authority.Path("ca.crt"))
	p := newPod(t, s, map[string]string{
		"github-app/private-key.pem": encodeKey(key),
		"redis/username":             "gx", "redis/password": "of-the-test\n", "redis/ca.crt": ca,
		"rabbitmq/password": "guest\n", "rabbitmq/ca.crt": ca,
	})
	p.start(fmt.Sprintf(`
receivers:
  githubexporter:
    github: {endpoint: %q, tls: {insecure: true}}
    redis: {endpoints: [%q]}
    rabbitmq: {endpoint: %q}
extensions: {leader_elector: {kubernetes: {kubeconfig: %q}}}
`, github.URL, redis, rabbitmq.URL(), c.kubeconfig()))
	p.awaitReadiness(http.StatusOK)
	c.requireLeader()
}

// appClientID is that of the App in the examples.
const appClientID = "Iv23liABCDEF0123456789"

// kubeconfig returns the path of a file with the account of the pods.
func (c *cluster) kubeconfig() string {
	c.t.Helper()
	token, err := c.client.CoreV1().ServiceAccounts(testNamespace).CreateToken(c.t.Context(), "githubexporter",
		&authentication.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return c.Kubeconfig("kubeconfig", token.Status.Token, testNamespace)
}

// requireLeader demands that the Lease has a holder.
func (c *cluster) requireLeader() {
	c.t.Helper()
	leases := c.client.CoordinationV1().Leases(testNamespace)
	lease, err := leases.Get(c.t.Context(), "githubexporter", metav1.GetOptions{})
	require.NoError(c.t, err)
	require.NotNil(c.t, lease.Spec.HolderIdentity)
	require.NotEmpty(c.t, *lease.Spec.HolderIdentity)
}
