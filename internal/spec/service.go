package spec

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// MaxReplicas limits the tasks of one service.
const MaxReplicas = 10_000

// DefaultService fills in what a request for a new service left out. Zero
// replicas are a choice, not an omission.
func DefaultService(r *warrenv1.CreateServiceRequest) {
	r.Namespace = Namespace(r.Namespace)
	if r.Spec == nil {
		r.Spec = &warrenv1.ServiceSpec{}
	}
	if r.Spec.Container == nil {
		r.Spec.Container = &warrenv1.ContainerSpec{}
	}
	DefaultContainer(r.Spec.Container)
}

// ValidateService checks a request that went through DefaultService.
func ValidateService(r *warrenv1.CreateServiceRequest) error {
	if err := ValidNamespace(r.GetNamespace()); err != nil {
		return err
	}
	if err := ValidName(KindService, r.GetName()); err != nil {
		return err
	}
	if err := Labels(r.GetLabels()); err != nil {
		return err
	}
	if err := Replicas(r.GetName(), r.GetSpec().GetReplicas()); err != nil {
		return err
	}
	return ValidateContainer(r.GetName(), r.GetSpec().GetContainer())
}

// Replicas checks how many tasks a service is to have.
func Replicas(service string, replicas uint32) error {
	if replicas > MaxReplicas {
		return invalid(KindService, service, "%d replicas are asked for; the limit is %d", replicas, MaxReplicas)
	}
	return nil
}
