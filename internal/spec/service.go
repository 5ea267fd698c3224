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
	DefaultServiceSpec(r.Spec)
}

// DefaultServiceSpec fills in what a spec left out.
func DefaultServiceSpec(s *warrenv1.ServiceSpec) {
	if s.Container == nil {
		s.Container = &warrenv1.ContainerSpec{}
	}
	if s.Update == nil {
		s.Update = &warrenv1.UpdateRules{}
	}
	DefaultContainer(s.Container)
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
	return ValidateServiceSpec(r.GetName(), r.GetSpec())
}

// ValidateServiceSpec checks what a service, new or not, is to be.
func ValidateServiceSpec(service string, s *warrenv1.ServiceSpec) error {
	if err := Replicas(service, s.GetReplicas()); err != nil {
		return err
	}
	if err := validateMode(service, s); err != nil {
		return err
	}
	if err := validateSlots(service, s); err != nil {
		return err
	}
	if err := validateUpdate(service, s); err != nil {
		return err
	}
	if _, err := ParseConstraints(s.GetConstraints()); err != nil {
		return err
	}
	return ValidateContainer(service, s.GetContainer())
}

// Replicas checks how many tasks a service is to have.
func Replicas(service string, replicas uint32) error {
	if replicas > MaxReplicas {
		return invalid(KindService, service, "%d replicas are asked for; the limit is %d", replicas, MaxReplicas)
	}
	return nil
}
