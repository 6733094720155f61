using Mono.Cecil;
using Mono.Cecil.Cil;

namespace Collective.Architecture;

/// <summary>Enumerates what the types of an assembly use: in base types, signatures, fields, attributes and method bodies.</summary>
internal sealed class CompiledAssembly : IDisposable
{
    private readonly ModuleDefinition _module;

    private CompiledAssembly(ModuleDefinition module)
    {
        _module = module;
    }

    /// <summary>Reads a file and its symbols, which tell files and lines.</summary>
    public static CompiledAssembly Read(string path)
        => new(ModuleDefinition.ReadModule(path, new ReaderParameters { ReadSymbols = true, InMemory = true }));

    public static CompiledAssembly Read(Stream assembly, Stream symbols)
        => new(ModuleDefinition.ReadModule(assembly, new ReaderParameters { ReadSymbols = true, SymbolStream = symbols }));

    /// <summary>Outermost types written by people.</summary>
    public IEnumerable<TypeDefinition> Types => _module.Types.Where(type => !type.Name.StartsWith('<') && !IsGenerated(type));

    public void Dispose() => _module.Dispose();

    public IEnumerable<CompiledReference> References() => Types.SelectMany(ReferencesOf);

    /// <summary>The type and the types its members mention, and theirs, as far as <paramref name="follow"/> says.</summary>
    public IReadOnlySet<string> Mentioned(string typeName, Func<string, bool> follow)
    {
        var reached = new HashSet<string>(StringComparer.Ordinal);
        var waiting = new Queue<string>([typeName]);
        while (waiting.TryDequeue(out var name))
        {
            if (!reached.Add(name) || _module.Types.FirstOrDefault(type => NameOf(type) == name) is not { } type)
            {
                continue;
            }

            var mentioned = Nested(type).SelectMany(Signatures).SelectMany(Flatten).Select(NameOf).Where(follow);
            foreach (var next in mentioned)
            {
                waiting.Enqueue(next);
            }
        }

        return reached;
    }

    /// <summary>The outermost type's name without type arguments.</summary>
    public static string NameOf(TypeReference type)
    {
        var outermost = type.GetElementType();
        while (outermost.DeclaringType is not null)
        {
            outermost = outermost.DeclaringType;
        }

        return outermost.Namespace.Length == 0 ? outermost.Name : $"{outermost.Namespace}.{outermost.Name}";
    }

    private static bool IsGenerated(TypeDefinition type)
        => type.CustomAttributes.Any(attribute => attribute.AttributeType.Name is "CompilerGeneratedAttribute" or "EmbeddedAttribute");

    private static IEnumerable<TypeDefinition> Nested(TypeDefinition type) => type.NestedTypes.SelectMany(Nested).Prepend(type);

    private static IEnumerable<CompiledReference> ReferencesOf(TypeDefinition outermost)
    {
        var user = NameOf(outermost);
        foreach (var type in Nested(outermost))
        {
            foreach (var used in Signatures(type).SelectMany(Flatten))
            {
                yield return new CompiledReference(user, NameOf(used), null, null, 0);
            }

            foreach (var reference in type.Methods.Where(method => method.HasBody).SelectMany(method => InBody(user, method)))
            {
                yield return reference;
            }
        }
    }

    /// <summary>What is visible without looking into bodies.</summary>
    private static IEnumerable<TypeReference> Signatures(TypeDefinition type)
    {
        var bases = type.Interfaces.Select(implemented => implemented.InterfaceType).Append(type.BaseType);
        var fields = type.Fields.SelectMany(field => Attributes(field).Append(field.FieldType));
        var properties = type.Properties.SelectMany(property => Attributes(property).Append(property.PropertyType));
        var events = type.Events.SelectMany(@event => Attributes(@event).Append(@event.EventType));
        var methods = type.Methods.SelectMany(Signature);
        return bases.Concat(fields).Concat(properties).Concat(events).Concat(methods)
            .Concat(Attributes(type)).Concat(Constraints(type)).OfType<TypeReference>();
    }

    private static IEnumerable<TypeReference> Signature(MethodDefinition method)
        => method.Parameters.SelectMany(parameter => Attributes(parameter).Append(parameter.ParameterType))
            .Concat(method.Overrides.Select(overridden => overridden.DeclaringType))
            .Concat(Attributes(method)).Concat(Constraints(method)).Append(method.ReturnType);

    private static IEnumerable<TypeReference> Constraints(IGenericParameterProvider provider)
        => provider.GenericParameters.SelectMany(parameter => parameter.Constraints).Select(constraint => constraint.ConstraintType);

    private static IEnumerable<TypeReference> Attributes(Mono.Cecil.ICustomAttributeProvider provider)
        => provider.CustomAttributes.SelectMany(attribute =>
            attribute.ConstructorArguments.Select(argument => argument.Value).OfType<TypeReference>().Append(attribute.AttributeType));

    private static IEnumerable<CompiledReference> InBody(string user, MethodDefinition method)
    {
        var body = method.Body;
        var handled = body.ExceptionHandlers.Select(handler => handler.CatchType).OfType<TypeReference>();
        foreach (var used in body.Variables.Select(variable => variable.VariableType).Concat(handled).SelectMany(Flatten))
        {
            yield return new CompiledReference(user, NameOf(used), null, null, 0);
        }

        SequencePoint? place = null;
        foreach (var instruction in body.Instructions)
        {
            var here = method.DebugInformation.GetSequencePoint(instruction);
            place = here is null || here.IsHidden ? place : here;
            foreach (var (type, member) in Used(instruction.Operand))
            {
                yield return new CompiledReference(user, NameOf(type), member, place?.Document.Url, place?.StartLine ?? 0);
            }
        }
    }

    private static IEnumerable<(TypeReference Type, string? Member)> Used(object? operand) => operand switch
    {
        TypeReference type => Flatten(type).Select(part => (part, (string?)null)),
        FieldReference field => OfMember(field, field.Name, [field.FieldType]),
        MethodReference method => OfMember(method, MemberName(method), [method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType), .. (method as GenericInstanceMethod)?.GenericArguments ?? []]),
        CallSite call => call.Parameters.Select(parameter => parameter.ParameterType).Append(call.ReturnType).SelectMany(Flatten).Select(part => (part, (string?)null)),
        _ => [],
    };

    private static IEnumerable<(TypeReference Type, string? Member)> OfMember(MemberReference member, string name, IEnumerable<TypeReference> mentioned)
        => Flatten(member.DeclaringType).Concat(mentioned.SelectMany(Flatten)).Select(part => (part, (string?)null))
            .Append((member.DeclaringType, name));

    private static string MemberName(MethodReference method) => method is GenericInstanceMethod ? method.Name + "<T>" : method.Name;

    /// <summary>The types a compound one is made of: element, arguments, modifiers.</summary>
    private static IEnumerable<TypeReference> Flatten(TypeReference type) => type switch
    {
        GenericParameter => [],
        GenericInstanceType instance => instance.GenericArguments.SelectMany(Flatten).Append(instance.ElementType),
        FunctionPointerType pointer => pointer.Parameters.Select(parameter => parameter.ParameterType).Append(pointer.ReturnType).SelectMany(Flatten),
        IModifierType modified => Flatten(modified.ElementType).Concat(Flatten(modified.ModifierType)),
        TypeSpecification specification => Flatten(specification.ElementType),
        _ => [type],
    };
}
