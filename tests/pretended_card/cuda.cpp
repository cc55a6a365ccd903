// A pretended CUDA device inside a CPU build of torch. Tensors report cuda:0, their memory is the host's, and every
// operator runs the CPU's kernel on an alias. An operator that would mix devices on a real card raises.
#define TORCH_ASSERT_ONLY_METHOD_OPERATORS
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/FakeGuardImpl.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_set>

namespace {
const c10::Device CARD(c10::DeviceType::CUDA, 0);
const c10::Stream STREAM(c10::Stream::DEFAULT, CARD);
constexpr size_t HEADER = 64;  // bytes before each block, which hold its size

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::DeviceType::CUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return CARD; }
  c10::Device getDevice() const override { return CARD; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return STREAM; }
  c10::Stream getDefaultStream(c10::Device) const override { return STREAM; }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return STREAM; }
  c10::Stream exchangeStream(c10::Stream) const override { return STREAM; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const c10::DeviceIndex) const override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

std::atomic<size_t> live{0}, limit{SIZE_MAX};

void release(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - HEADER;
  live -= *reinterpret_cast<size_t*>(block);
  std::free(block);
}

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    if (!n) return {nullptr, nullptr, &release, CARD};
    TORCH_CHECK_WITH(OutOfMemoryError, live + n <= limit, "CUDA out of memory (pretended): ", n, " bytes");
    void* block = nullptr;
    if (posix_memalign(&block, HEADER, n + HEADER)) throw std::bad_alloc();
    *static_cast<size_t*>(block) = n;
    live += n;
    void* data = static_cast<char*>(block) + HEADER;
    std::memset(data, 0xFF, n);  // NaN: what nobody wrote
    return {data, data, &release, CARD};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t n) const override { std::memcpy(to, from, n); }
};
Memory memory;

struct Hooks final : at::CUDAHooksInterface {
  Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex current_device() const override { return 0; }
  int getNumGPUs() const override { return 1; }
  bool isPinnedPtr(const void*) const override { return false; }
  c10::Allocator* getCUDADeviceAllocator() const override { return &memory; }
};
}  // namespace
namespace at {
using PretendedHooks = ::Hooks;
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", PretendedHooks)
}  // namespace at
namespace {

// The same memory, seen from the other device.
at::Tensor alias(const at::Tensor& t, c10::Device device) {
  auto* held = new c10::Storage(t.storage());
  auto drop = [](void* h) { delete static_cast<c10::Storage*>(h); };
  c10::DataPtr data(t.storage().mutable_data(), held, drop, device);
  c10::Allocator* allocator =
      device.is_cuda() ? static_cast<c10::Allocator*>(&memory) : c10::GetAllocator(c10::DeviceType::CPU);
  c10::Storage storage(c10::Storage::use_byte_size_t(), t.storage().nbytes(), std::move(data), allocator, true);
  c10::DispatchKeySet key(device.is_cuda() ? c10::DispatchKey::CUDA : c10::DispatchKey::CPU);
  auto out = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), key, t.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.is_conj()) out._set_conj(true);
  if (t.is_neg()) out._set_neg(true);
  return out;
}

// Operators of a real card that take a host tensor beside those of the card.
const std::unordered_set<std::string> MIXED = {
    "aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::index_put", "aten::copy_", "aten::_to_copy",
    "aten::_unsafe_index"};
// Not elementwise: these refuse host tensors without axes as well.
const std::unordered_set<std::string> STRICT = {
    "aten::bmm", "aten::baddbmm", "aten::mm", "aten::addmm", "aten::gather", "aten::scatter_add", "aten::index_select",
    "aten::index_add", "aten::cat", "aten::searchsorted", "aten::sort", "aten::take", "aten::stack", "aten::embedding"};

struct Seen {
  bool card = false, host = false, number = false;
  void look(const at::Tensor& t) {
    if (!t.defined()) return;
    if (t.is_cuda()) card = true;
    else if (t.dim() > 0) host = true;
    else if (!t.unsafeGetTensorImpl()->is_wrapped_number()) number = true;
  }
  void look(const c10::IValue& v) {
    if (v.isTensor()) look(v.toTensor());
    else if (v.isTensorList()) for (const at::Tensor& t : v.toTensorVector()) look(t);
    else if (v.isOptionalTensorList()) { for (const auto& t : v.toOptionalTensorVector()) if (t) look(*t); }
    else if (v.isDevice() && v.toDevice().is_cuda()) card = true;
  }
};

at::Tensor lowered(const at::Tensor& t) { return t.defined() && t.is_cuda() ? alias(t, at::kCPU) : t; }
at::Tensor raised(const at::Tensor& t) { return t.defined() && t.is_cpu() ? alias(t, CARD) : t; }

c10::IValue lowered(const c10::IValue& v) {
  if (v.isTensor()) return lowered(v.toTensor());
  if (v.isDevice() && v.toDevice().is_cuda()) return c10::Device(at::kCPU);
  if (v.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& t : v.toTensorVector()) list.push_back(lowered(t));
    return list;
  }
  if (v.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& t : v.toOptionalTensorVector()) list.push_back(t ? std::optional(lowered(*t)) : std::nullopt);
    return list;
  }
  return v;
}

// An argument that was written may have got another size or other memory.
void take_over(const at::Tensor& t, const at::Tensor& low) {
  auto* impl = t.unsafeGetTensorImpl();
  if (low.storage().data() != t.storage().data()) impl->set_storage_keep_dtype(alias(low, CARD).storage());
  if (low.sizes() != t.sizes() || low.strides() != t.strides() || low.storage_offset() != t.storage_offset())
    impl->set_sizes_and_strides(low.sizes(), low.strides(), low.storage_offset());
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto n = schema.arguments().size();
  const auto begin = stack->size() - n;
  const auto& name = schema.operator_name().name;
  std::vector<c10::IValue> given(stack->begin() + begin, stack->end()), low(n);
  Seen seen;
  for (const auto& v : given) seen.look(v);
  TORCH_CHECK(!(seen.card && seen.host && !MIXED.count(name)),
      "Expected all tensors to be on the same device (pretended): ", name, " got cuda:0 and cpu");
  TORCH_CHECK(!(seen.card && seen.number && STRICT.count(name)),
      "Expected all tensors to be on the same device (pretended): ", name, " got cuda:0 and a number on the cpu");
  for (size_t i = 0; i < n; i++) low[i] = (*stack)[begin + i] = lowered(given[i]);
  op.callBoxed(stack);
  for (size_t i = 0; i < n; i++) {
    const auto* info = schema.arguments()[i].alias_info();
    if (!info || !info->isWrite() || !given[i].isTensor()) continue;
    if (given[i].toTensor().defined() && given[i].toTensor().is_cuda()) take_over(given[i].toTensor(), low[i].toTensor());
  }
  const auto results = schema.returns().size();
  for (size_t i = 0; i < results; i++) {
    auto& v = (*stack)[stack->size() - results + i];
    const auto* info = schema.returns()[i].alias_info();
    if (info && info->isWrite()) {
      for (size_t j = 0; j < n; j++) {
        const auto* theirs = schema.arguments()[j].alias_info();
        if (theirs && *theirs == *info) v = given[j];
      }
    } else if (seen.card && v.isTensor()) {
      v = raised(v.toTensor());
    } else if (seen.card && v.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& t : v.toTensorVector()) list.push_back(raised(t));
      v = list;
    }
  }
}

at::Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  c10::DispatchKeySet key(c10::DispatchKey::CUDA);
  return at::detail::empty_generic(size, &memory, key, c10::dtype_or_default(dtype), format);
}
at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
    std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  c10::DispatchKeySet key(c10::DispatchKey::CUDA);
  return at::detail::empty_strided_generic(size, stride, &memory, key, c10::dtype_or_default(dtype));
}
at::Tensor zeros(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout> layout,
    std::optional<at::Device> device, std::optional<bool> pin) {  // of forward mode: here they have memory
  at::Tensor t = empty(size, dtype, layout, device, pin, std::nullopt);
  if (t.storage().nbytes()) std::memset(t.storage().mutable_data(), 0, t.storage().nbytes());
  return t;
}
at::Tensor& copy_(at::Tensor& self, const at::Tensor& from, bool) {
  lowered(self).copy_(lowered(from));
  return self;
}
at::Tensor as_strided(const at::Tensor& t, c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(t, size, stride, offset);
}
}  // namespace

extern "C" size_t pretended_memory_in_use() { return live; }
extern "C" void pretended_memory_limit(size_t bytes) { limit = bytes; }

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("copy_", copy_);
  m.impl("_efficientzerotensor", zeros);
  m.impl("as_strided", as_strided);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("unfold", at::native::unfold);
  m.impl("set_.source_Storage_storage_offset", at::native::set_storage_cpu_);
  m.impl("set_.source_Storage", at::native::set_);
  m.impl("set_.source_Tensor", at::native::set_tensor_);
}
