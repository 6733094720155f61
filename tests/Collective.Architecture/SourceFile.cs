using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Collective.Architecture;

/// <summary>One C# file: its path in the repository and its syntax.</summary>
internal sealed record SourceFile(string Path, SyntaxNode Syntax, int LineCount)
{
    private static readonly CSharpParseOptions s_options = new(LanguageVersion.Preview);

    public static SourceFile Parse(string path, string text)
    {
        var tree = CSharpSyntaxTree.ParseText(text, s_options, path);
        return new SourceFile(path, tree.GetRoot(), tree.GetText().Lines.Count);
    }

    /// <summary>Line of a node or token, as an editor counts.</summary>
    public static int LineOf(SyntaxNodeOrToken place) => place.GetLocation()!.GetLineSpan().StartLinePosition.Line + 1;

    public Finding Finding(SyntaxNodeOrToken place, string text) => new(Path, LineOf(place), text);

    /// <summary>Types that are not inside another one, as the runtime names them: <c>Collective.Kernels.Loops`1</c>.</summary>
    public IEnumerable<(string Name, int Line)> OutermostTypes()
    {
        foreach (var node in Syntax.DescendantNodes(child => child is not BaseTypeDeclarationSyntax))
        {
            var (identifier, parameters) = node switch
            {
                TypeDeclarationSyntax type => (type.Identifier, type.TypeParameterList),
                BaseTypeDeclarationSyntax type => (type.Identifier, null),
                DelegateDeclarationSyntax type => (type.Identifier, type.TypeParameterList),
                _ => default,
            };
            if (identifier != default)
            {
                var arity = parameters?.Parameters.Count ?? 0;
                var namespaces = node.Ancestors().OfType<BaseNamespaceDeclarationSyntax>().Reverse().Select(space => space.Name.ToString());
                var name = string.Join('.', namespaces.Append(identifier.Text));
                yield return (arity == 0 ? name : $"{name}`{arity}", LineOf(identifier));
            }
        }
    }

    /// <summary>Every name the file declares: types, members, parameters and locals.</summary>
    public IEnumerable<(SyntaxToken Name, bool IsType)> DeclaredNames()
    {
        foreach (var node in Syntax.DescendantNodes())
        {
            switch (node)
            {
                case BaseTypeDeclarationSyntax type: yield return (type.Identifier, true); break;
                case DelegateDeclarationSyntax type: yield return (type.Identifier, true); break;
                case EnumMemberDeclarationSyntax member: yield return (member.Identifier, false); break;
                case MethodDeclarationSyntax member: yield return (member.Identifier, false); break;
                case PropertyDeclarationSyntax member: yield return (member.Identifier, false); break;
                case EventDeclarationSyntax member: yield return (member.Identifier, false); break;
                case LocalFunctionStatementSyntax local: yield return (local.Identifier, false); break;
                case VariableDeclaratorSyntax variable: yield return (variable.Identifier, false); break;
                case SingleVariableDesignationSyntax variable: yield return (variable.Identifier, false); break;
                case ForEachStatementSyntax variable: yield return (variable.Identifier, false); break;
                case ParameterSyntax parameter: yield return (parameter.Identifier, false); break;
            }
        }
    }
}
